"""Flink and Beam's runner for it in `.venv/flink`, for our tests: installed as a user does (docs/flink.md), once.

`python -m tests.flink_folder` makes the folder unless it stands already, and fails without Java or Maven.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.commands import ROOT

FOLDER = ROOT / ".venv" / "flink"
SCRIPTS = ROOT / "docker" / "flink"


def install() -> Path:
    """The folder, made if it does not stand as we want it; processes wait for each other."""
    wanted = (SCRIPTS / "pom.xml").read_text() + (SCRIPTS / "install.py").read_text()
    stamp = FOLDER / ".ready"
    FOLDER.parent.mkdir(exist_ok=True)
    with open(FOLDER.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(FOLDER, ignore_errors=True)
            subprocess.run([sys.executable, SCRIPTS / "install.py", FOLDER], check=True)
            stamp.write_text(wanted)
    return FOLDER


if __name__ == "__main__":
    install()
