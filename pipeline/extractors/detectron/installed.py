"""Whether detectron2 is here, and exactly which one."""

import hashlib
from functools import cache
from pathlib import Path

from schemas.errors import UsageError

COMMIT = "02b5c4e295e990042a714712c21dc79b731e8833"
INSTALL = (
    "pip install --no-build-isolation "
    f"'git+https://github.com/facebookresearch/detectron2.git@{COMMIT}'"  # its setup.py imports torch
)


def require() -> Path:
    """detectron2's folder; UsageError with the command that installs it where it is not here, or does not load."""
    try:
        import detectron2.modeling
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "detectron2"
        state = "is not installed" if missing else f"does not load ({error})"
        raise UsageError(f"feature detectron2_objects: detectron2 {state}; after torch, {INSTALL}.") from error
    return Path(detectron2.__file__).parent


@cache
def engine_version() -> str:
    """Such as `detectron2 0.6 sha256:…`: the hash of its Python files, for its number has stood still since 2021."""
    folder = require()
    import detectron2

    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return f"detectron2 {detectron2.__version__} sha256:{digest.hexdigest()[:16]}"
