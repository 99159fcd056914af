"""How this machine's pip reaches its package indexes, for a build: `pip_settings.py FOLDER CALLER`.

FOLDER gets pip.conf, and ca.pem where this machine has certificates of its own, whose place in a build is
/run/secrets/ca.pem. CALLER is the folder that relative paths start from.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

SINGLE = ("index-url", "proxy")
SEVERAL = ("extra-index-url", "trusted-host")
"""Settings of several values, which pip takes apart at white space."""

LISTED = re.compile(r"(?:global|install)\.([a-z-]+)=(.+)")
"""A line of `pip config list`; the value is a Python literal."""


def written(caller: Path) -> dict[str, str]:
    """What pip's configuration files say, as pip reads them; nothing where there is no pip."""
    if find_spec("pip") is None:
        return {}
    line = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(line, cwd=caller, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise SystemExit(f"pip cannot read its settings: {said[-1].removeprefix('ERROR: ')}")
    # Sorted: what is written for `pip install` comes after what is for all commands, and goes before it.
    found = (LISTED.fullmatch(listed) for listed in sorted(done.stdout.splitlines()))
    return {match[1]: ast.literal_eval(match[2]) for match in found if match}


def from_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What pip's variables say; as for pip, an empty one says nothing."""
    named = {name: f"PIP_{name.upper().replace('-', '_')}" for name in (*SINGLE, *SEVERAL, "cert")}
    return {name: variables[variable] for name, variable in named.items() if variables.get(variable)}


def configuration(settings: Mapping[str, str]) -> str:
    """A pip.conf, without certificates."""
    lines = [f"{name} = {settings[name].strip()}" for name in SINGLE if name in settings]
    lines += ["\n    ".join((f"{name} =", *settings[name].split())) for name in SEVERAL if name in settings]
    return "\n".join(["[global]", *lines, ""])


def certificates(settings: Mapping[str, str], variables: Mapping[str, str], caller: Path) -> Path | None:
    """The file that pip would trust, or None for its own. SystemExit where it is not there."""
    named = [("pip's setting cert (PIP_CERT)", settings.get("cert"))]
    named += [(name, variables.get(name)) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    for name, value in named:
        if value:
            path = caller / Path(value).expanduser()
            if not path.is_file():
                raise SystemExit(f"no file of certificates at {path}, which {name} names.")
            return path
    return None


def lend(folder: Path, caller: Path) -> None:
    """Write pip.conf and, where there is one, ca.pem."""
    settings = written(caller) | from_environment(os.environ)
    text = configuration(settings)
    if trusted := certificates(settings, os.environ, caller):
        shutil.copyfile(trusted, folder / "ca.pem")
        text += "cert = /run/secrets/ca.pem\n"
    (folder / "pip.conf").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        lend(*map(Path, sys.argv[1:]))
    except (SystemExit, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
