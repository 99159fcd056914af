"""What the build ran on. It is recorded in the manifest and never part of a fingerprint."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from m3h.pipeline.runtime.processor import processor_name

_PACKAGES = (
    "apache-beam",
    "ekphrasis",
    "h5py",
    "numpy",
    "pillow",
    "py3langid",
    "pyarrow",
    "pytesseract",
    "torch",
    "torchvision",
    "timm",
    "open-clip-torch",
)


def lineage(outside: Iterable[str] = ()) -> dict[str, str]:
    """Versions of the libraries that affect values, and the kind of processor. No times, no host names.

    outside: the packages of extractors from outside this project, `colours 1.0`; empty ones are passed over.
    """
    found = {"python": platform.python_version(), "processor": processor_name(), "m3h": _version("m3h")}
    return (
        found
        | {package: _version(package) for package in _PACKAGES}
        | {name: found for name, _, found in (package.rpartition(" ") for package in sorted(outside)) if name}
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
