"""Make the installed torch do without CUDA's libraries, where its index has no wheel for CPU alone.

The wheels of the usual index link to 4 GB of libraries that a machine without a GPU never calls, and cannot be loaded
without them. Each gets a stand-in of a few kilobytes: the same name, the symbols that torch asks it for, and one answer
to every call, that there is no device. `torch.cuda.is_available()` is then False; asking for a GPU all the same raises
torch's own RuntimeError. Torch's metadata no longer names the packages.

Run by install-torch.sh with the Python that has torch; needs `readelf`, `as` and `ld`.
"""

import re
import subprocess
import sysconfig
from collections import defaultdict
from collections.abc import Mapping, Set
from pathlib import Path
from tempfile import TemporaryDirectory

SITE = Path(sysconfig.get_path("purelib"))
LIBRARY = re.compile(r"lib(cu|nv|nccl)")
SYMBOL = re.compile(r"(cu|nv|nccl)")
PACKAGE = re.compile(r"Requires-Dist: (nvidia|cuda|triton)")

NO_DEVICE = 100
"""cudaErrorNoDevice and CUDA_ERROR_NO_DEVICE."""

CODE = {"x86_64": f"movl ${NO_DEVICE}, %eax; ret", "aarch64": f"mov w0, {NO_DEVICE}; ret"}

Symbols = Mapping[str, Set[str]]
"""Symbols by their version; "" for those that have none."""


def stand_ins(folder: Path) -> dict[str, Symbols]:
    """What torch's libraries in a folder look for outside it, by the name of CUDA's library that would have it."""
    files = sorted(folder.glob("*.so*"))
    names = {path.name for path in files}
    libraries, missing, present = set[str](), set[str](), set[str]()
    library_of = dict[str, str]()
    for path in files:
        libraries |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", _readelf("--dynamic", path)))
        for block in _readelf("--version-info", path).split("  Version: ")[1:]:
            if found := re.search(r"File: (\S+)", block):
                library_of |= dict.fromkeys(re.findall(r"Name: (\S+)", block), found[1])
        for line in _readelf("--dyn-syms", path).splitlines():
            words = line.split()
            if len(words) >= 8 and words[0][:-1].isdigit():
                (missing if words[6] == "UND" else present).add(words[7])
    wanted: dict[str, dict[str, set[str]]] = {
        name: defaultdict(set) for name in sorted(libraries - names) if LIBRARY.match(name)
    }
    anywhere = next(iter(wanted))  # a symbol without a version may lie in any library
    for symbol, _, version in (name.partition("@") for name in missing - present):
        if library_of.get(version, "") in wanted:
            wanted[library_of[version]][version].add(symbol)
        elif not version and SYMBOL.match(symbol):
            wanted[anywhere][""].add(symbol)
    return dict(wanted)


def write(library: Path, symbols: Symbols, machine: str) -> None:
    """A shared library whose functions all return that there is no device."""
    names = sorted(set().union(*symbols.values()))
    functions = (f".globl {name}; .type {name}, %function; {name}: {CODE[machine]}" for name in names)
    code = "\n".join(['.section .note.GNU-stack,"",%progbits', ".text", *functions])
    versions = [f"{name} {{ global: {'; '.join(sorted(of))}; }};" for name, of in symbols.items() if name]
    with TemporaryDirectory() as temp:
        source, made, script = (Path(temp, name) for name in ("code.s", "code.o", "versions"))
        source.write_text(code + "\n")
        script.write_text("\n".join(versions) + "\n")
        subprocess.run(["as", "-o", made, source], check=True)
        versioned = [f"--version-script={script}"] if versions else []
        subprocess.run(["ld", "-shared", "-soname", library.name, *versioned, "-o", library, made], check=True)


def forget_packages(metadata: Path) -> None:
    """Leave CUDA's packages out of what torch says it requires."""
    lines = metadata.read_text(encoding="utf-8").splitlines(keepends=True)
    metadata.write_text("".join(line for line in lines if not PACKAGE.match(line)), encoding="utf-8")


def _readelf(what: str, path: Path) -> str:
    return subprocess.run(["readelf", "--wide", what, path], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    libraries = SITE / "torch" / "lib"
    for name, symbols in stand_ins(libraries).items():
        write(libraries / name, symbols, sysconfig.get_platform().rpartition("-")[2])
    (metadata,) = SITE.glob("torch-*.dist-info/METADATA")
    forget_packages(metadata)
