"""What `make bench` prints: the machine, and a table for each case, in Markdown."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.harness.case import Result, Spread

PACKAGES = ("m3h", "numpy", "torch", "pillow", "pyarrow", "h5py")


def machine() -> dict[str, Any]:
    """What was measured on. load: of the last minute, fifteen minutes."""
    return {
        "cpu": _cpu_name(), "cores": os.cpu_count(), "memory_gb": round(_memory() / 1e9),
        "system": f"{platform.system()} {platform.release()}", "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }  # fmt: skip


def load() -> str:
    """The load average of one, five and fifteen minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def described(machine: Mapping[str, Any], loads: Sequence[str], peers: Sequence[str]) -> str:
    """The machine and the versions, in lines."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; Python "
        f"{machine['python']}; {versions}.\nPeers: {', '.join(peers)}.\n"
        f"Load average before: {loads[0]}; after: {loads[-1]}.\n"
    )


def markdown(result: Result, rounds: int) -> str:
    """A case: one row a side, then what was compared and what bounds ours."""
    case = result.case
    head = f"### {case.title}\n\n{result.number:,} {case.things}, {rounds} rounds, medians (least to most).\n\n"
    head += "| | CPU s of the work | ms each | CPU s with start | wall s | MB | peer / ours |\n"
    head += "|---|---|---|---|---|---|---|\n"
    rows = [_row(result, side.name, first=side is case.sides[0]) for side in case.sides]
    mostly = "; ".join(f"`{name}` {share:.0%}" for name, share in result.mostly) or "nothing over 3 %"
    return f"{head}{''.join(rows)}\nAnswers: {result.answers}\nBound: {case.bound} Seen in a profile: {mostly}.\n"


def _row(result: Result, name: str, *, first: bool) -> str:
    runs = result.runs[name]
    cpu, whole = Spread.of([run.cpu for run in runs]), Spread.of([run.whole.cpu for run in runs])
    wall, peak = Spread.of([run.wall for run in runs]), Spread.of([run.whole.peak_mb for run in runs])
    each = f"{1000 * cpu.median / result.number:.3g}"
    ratio = "" if first else shown(result.ratio(name))
    return (
        f"| {name} | {shown(cpu)} | {each} | {whole.median:.2f} | {wall.median:.2f} | {peak.median:.0f} | {ratio} |\n"
    )


def shown(spread: Spread) -> str:
    """A median with the least and the most."""
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"
