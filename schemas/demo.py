"""`m3h demo`: the bundled sample from dumps to test scores, by the commands a user would type."""

import importlib.resources
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM, signal

from m3h.schemas.console import DONE, INTERRUPTED, show
from m3h.schemas.errors import M3hError
from m3h.schemas.own_module import module_command
from m3h.schemas.programs import programs

DEMO_FOLDER = Path("demo")
PICTURES = "backbone"
"""The feature of pictures: by a network with real weights that a package has, so that nothing is downloaded."""
COMMAND_LINE = "m3h.schemas.command_line"
_GRACE_SECONDS = 60
"""How long an interrupted step may take to end by itself."""


def run_demo(out: Path) -> int:
    """Run every step in a process of its own, as a shell would. Returns the first exit code that is not 0, or 0."""
    for program in programs():
        program.extra.require("demo")
    for words in demo_steps(_sample_folder(), out):
        show(f"$ {shlex.join(['m3h', *words])}")
        if code := _run_step(words):
            return code
    show("\n".join(demo_end(out)))
    return DONE


def demo_end(out: Path) -> list[str]:
    """What there is now, and what to do with it, by a name of `m3h` that this shell finds."""
    script = Path(sys.executable).with_name("m3h")
    found = shutil.which("m3h")
    is_found = found is not None and Path(found).samefile(script) if script.exists() else True
    name = "m3h" if is_found else shlex.quote(os.path.relpath(script))
    data, run = (shlex.quote(str(out / one)) for one in ("dataset", "run"))
    return [
        f"dataset: {out / 'dataset'}",
        f"run:     {out / 'run'}",
        f"next:    {name} report --dataset {data}",
        f"         {name} serve {run}",
    ]


def demo_steps(sample: Path, out: Path) -> list[list[str]]:
    """The command lines of the steps, without `m3h`."""
    dataset, run = str(out / "dataset"), str(out / "run")
    dumps = [str(sample / name) for name in ("dump_v1.jsonl.gz", "dump_plain.jsonl")]
    images, build, train = (str(sample / name) for name in ("images", "build.yaml", "train.yaml"))
    features, read = ["--features", f"ocr,{PICTURES}"], ["--set", f"vision=[{PICTURES}]"]
    learn = ["train", "--dataset", dataset, "--system", "gen-cls-m3h", "--out", run, "--config", train, "--overwrite"]
    return [
        ["build", "--dumps", *dumps, "--images", images, "--dataset", dataset, "--config", build, *features],
        ["stats", "--dataset", dataset],
        [*learn, *read],
        ["predict", run, "--dataset", dataset, "--show", "3"],
    ]


def _sample_folder() -> Path:
    """The sample's folder, installed or in a checkout. Relative to the current folder where it lies below it."""
    folder = Path(str(importlib.resources.files("m3h.sample"))).resolve()
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _run_step(words: list[str]) -> int:
    with _ended_by_sigterm():
        step = subprocess.Popen(module_command(COMMAND_LINE, *words))
        try:
            code = step.wait()
        except KeyboardInterrupt:  # Ctrl-C reaches the step as well, and the step prints what to do
            return _end(step, _GRACE_SECONDS) or INTERRUPTED
        finally:
            if step.poll() is None:
                step.terminate()
    if code < 0:
        raise M3hError(f"m3h {words[0]} was ended by signal {-code}. Run the same command again.")
    return code


def _end(step: "subprocess.Popen[bytes]", seconds: float) -> int:
    try:
        return step.wait(seconds)
    except subprocess.TimeoutExpired:
        return 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """A SIGTERM that ends this process ends its step as well."""

    def leave(*_: object) -> None:
        sys.exit(128 + SIGTERM)

    before = signal(SIGTERM, leave)
    try:
        yield
    finally:
        signal(SIGTERM, before)
