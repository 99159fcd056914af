"""The name of this machine's processor."""

import platform
from pathlib import Path


def processor_name() -> str:
    """As Linux gives it, such as `Intel(R) Xeon(R) Processor`; elsewhere the kind of machine, such as `arm64`."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
