"""Whether detectron2 is installed, and its exact version."""

import hashlib
from functools import cache
from pathlib import Path

from m3h.schemas.errors import UsageError

COMMIT = "02b5c4e295e990042a714712c21dc79b731e8833"
INSTALL = (
    "pip install --no-build-isolation "
    f"'git+https://github.com/facebookresearch/detectron2.git@{COMMIT}'"  # its setup.py imports torch
)


def require() -> Path:
    """detectron2's folder. UsageError with the install command when it is not installed or cannot be loaded."""
    try:
        import detectron2.modeling
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "detectron2"
        state = "is not installed" if missing else f"does not load ({error})"
        raise UsageError(f"feature detectron2_objects: detectron2 {state}; after torch, {INSTALL}.") from error
    return Path(detectron2.__file__).parent


@cache
def engine_version() -> str:
    """The version, for example `detectron2 0.6 sha256:…`.

    It contains a hash of detectron2's Python files, because its version number has not changed since 2021.
    """
    folder = require()
    import detectron2

    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return f"detectron2 {detectron2.__version__} sha256:{digest.hexdigest()[:16]}"
