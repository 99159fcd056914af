"""Prism, Beam's engine in one program, built from source into `.venv/prism`: for our tests only.

`python -m tests.prism_folder` makes it, in minutes, unless it stands already. It needs Go and the Go module proxy.
"""

import fcntl
import os
import subprocess
from pathlib import Path

import apache_beam

HOME = Path(__file__).parent.parent / ".venv"
PACKAGE = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{apache_beam.__version__}"


def install() -> Path:
    """The program of our Beam's version; processes wait for each other."""
    folder = HOME.resolve() / "prism" / apache_beam.__version__
    HOME.mkdir(exist_ok=True)
    with open(HOME / "prism.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "prism").is_file():
            subprocess.run(["go", "install", PACKAGE], env={**os.environ, "GOBIN": str(folder)}, check=True)
    return folder / "prism"


if __name__ == "__main__":
    install()
