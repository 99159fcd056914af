"""detectron2's Python code in a folder of its own, `.venv/detectron2-3.11`: for our tests only, never for users.

detectron2 itself is on no package index: who uses it builds it from source (docs/detectron2.md). sal-detectron2 carries
upstream's Python of mid-2024 in a wheel that is marked for CPython 3.10; what we test needs none of its compiled part,
which belongs to one Python and one torch and is therefore taken out. Nothing of the tests' own environment changes.

`python -m tests.detectron2_folder` makes the folder, in seconds, unless it stands already.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent / ".venv"
FOLDER = HOME / f"detectron2-{sys.version_info.major}.{sys.version_info.minor}"
"""One for each Python that runs the tests: some of what detectron2 needs is compiled."""
NEEDS = Path(__file__).with_name("detectron2.txt")
DETECTRON2 = "sal-detectron2==0.7.2"
ANY_PYTHON = ("--python-version", "3.10", "--implementation", "cp", "--only-binary=:all:")


def install() -> Path:
    """The folder to put on the path, made if it does not stand as we want it; processes wait for each other."""
    wanted = f"{DETECTRON2}\n{NEEDS.read_text()}"
    stamp = FOLDER / ".ready"
    HOME.mkdir(exist_ok=True)
    with open(HOME / "detectron2.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(FOLDER, ignore_errors=True)
            _pip(*ANY_PYTHON, DETECTRON2)
            _pip("-r", str(NEEDS))
            for compiled in (FOLDER / "detectron2").glob("_C.*"):
                compiled.unlink()
            stamp.write_text(wanted)
    return FOLDER


def _pip(*words: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(FOLDER))
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *words], check=True)


if __name__ == "__main__":
    install()
