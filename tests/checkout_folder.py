"""What makes a checkout importable as what is installed: `.venv/checkout/m3h`, with a link to each of our folders.

An editable install maps `m3h.pipeline` to `pipeline/` by an import hook, which type checkers and editors do not run. A
folder on the path serves them all, and new files are seen at once.

`python -m tests.checkout_folder` makes the folder, and puts it on the path of the Python that runs it.
"""

import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".venv" / "checkout"
PACKAGES = ("schemas", "pipeline", "model", "sample")


def install() -> None:
    """Make the links and the path file anew, whatever lies there."""
    (FOLDER / "m3h").mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = FOLDER / "m3h" / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../..") / name)
    (Path(sysconfig.get_path("purelib")) / "m3h-checkout.pth").write_text(f"{FOLDER}\n", encoding="utf-8")


if __name__ == "__main__":
    install()
