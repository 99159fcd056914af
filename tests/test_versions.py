"""What `make versions` runs exercises every package that a user's installation may have."""

import json
import re
import subprocess
import sys

from tests.commands import ROOT

LIST = ROOT / "tests" / "versions.txt"
SETUP = """
import json, setuptools, sys
setuptools.setup = lambda **given: json.dump([*given["install_requires"], *given["extras_require"]["all"]], sys.stdout)
exec(compile(open("setup.py").read(), "setup.py", "exec"), {"__file__": "setup.py"})
"""


def rows() -> dict[str, list[str]]:
    """File, or one test of it -> the packages that it exercises."""
    lines = [line.split() for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {file: packages for file, *packages in lines}


def required() -> set[str]:
    """The packages that setup.py requires of a user, by their names."""
    done = subprocess.run([sys.executable, "-c", SETUP], cwd=ROOT, capture_output=True, text=True, check=True)
    return {re.split(r"[<>=]", package)[0] for package in json.loads(done.stdout)}


def test_every_package_has_a_test_that_exercises_it() -> None:
    assert required() - {package for packages in rows().values() for package in packages} == set()


def test_every_file_and_every_test_that_is_named_exists() -> None:
    """One that was renamed ends `make versions` before it begins."""
    named = [row.partition("::") for row in rows()]
    assert [file for file, _, _ in named if not (ROOT / file).is_file()] == []
    missing = [test for file, _, test in named if test and f"\ndef {test}(" not in (ROOT / file).read_text("utf-8")]
    assert missing == []
