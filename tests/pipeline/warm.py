"""Commands of a program that has loaded everything already, each in a process of its own that cannot hang for ever.

`python -m tests.pipeline.warm pipeline|model` is `tests.zygote` with more loaded, features made up (`made_features`),
and an alarm that ends each command. Nothing else differs from what a user runs.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import zygote as plain_zygote
from tests.commands import ROOT, command, environment
from tests.kills import MORTAL, Zygote

ALARM = "WARM_ALARM_SECONDS"
PATIENCE_SECONDS = 120


class WarmZygote(Zygote):
    """`tests.pipeline.warm` behind pipes."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            command("tests.pipeline.warm", program), env=environment(MORTAL), cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


@dataclass(frozen=True)
class Said:
    """How a command ended, -N by signal N, and all that it printed, stderr and stdout mixed."""

    code: int
    printed: str

    @property
    def json(self) -> Any:
        """Its one line of JSON."""
        (line,) = [line for line in self.printed.splitlines() if line.startswith(("{", "[{"))]
        return json.loads(line)

    @property
    def errors(self) -> list[str]:
        return [line for line in self.printed.splitlines() if line.startswith("error:")]

    @property
    def hung(self) -> bool:
        return self.code == -signal.SIGALRM


class Warm:
    """Runs commands of one program."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self.zygote = zygote
        self.printed = folder / "printed"

    def run(self, *words: object, seconds: int = PATIENCE_SECONDS, env: Mapping[str, str] | None = None) -> Said:
        """A command to its end, however that is. seconds: after which it is ended by SIGALRM."""
        status = self.zygote.run(words, self.printed, {ALARM: str(seconds), **(env or {})})
        return Said(os.waitstatus_to_exitcode(status), self.printed.read_text(encoding="utf-8", errors="replace"))

    def must(self, *words: object) -> Said:
        """As `run`, of a command that has to end well."""
        said = self.run(*words)
        assert said.code == 0, f"{' '.join(map(str, words))}\n{said.printed[-3000:]}"
        return said


@contextmanager
def warm(program: str, folder: Path) -> Iterator[Warm]:
    zygote = WarmZygote(program)
    try:
        yield Warm(zygote, folder)
    finally:
        zygote.close()


def _main(program: str) -> None:
    if program == "pipeline":
        _load_pipeline()
    run = plain_zygote.run

    def run_with_alarm(*args: Any, environment: Mapping[str, str], **asked: Any) -> int:
        signal.alarm(int(environment.get(ALARM, 0)))
        sys.modules.pop("tests.mortal.sitecustomize", None)  # looks at its environment as it is imported
        return run(*args, environment=dict(environment), **asked)

    plain_zygote.run = run_with_alarm  # type: ignore[assignment]
    plain_zygote.main(program)


def _load_pipeline() -> None:
    """What every build would load anew: the tokenizer with its word statistics, the language finder, libraries."""
    from m3h.pipeline.extractors import EXTRACTORS

    EXTRACTORS["ocr"] = "tests.pipeline.made_features:MadeOcr"
    EXTRACTORS["attributes"] = "tests.pipeline.made_features:MadeAttributes"
    import m3h.pipeline.versions.compact  # noqa: F401
    from m3h.pipeline.rules import TextRules
    from m3h.pipeline.text.tokenizer import tokenizer_of
    from m3h.schemas.posts import Post

    _ask_beam_once()
    tokenizer_of(TextRules()).read(Post("1", "a day out by the sea #fun", ("fun",)))


def _ask_beam_once() -> None:
    """Flags and signatures that Beam parses anew for every step are remembered: two thirds of a small build's time."""
    import copy
    from types import MethodType

    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.transforms import core

    inspected = core.get_function_args_defaults
    of_method: dict[Any, Any] = {}

    def get_function_args_defaults(f: Any) -> Any:
        if not isinstance(f, MethodType):
            return inspected(f)
        if f.__func__ not in of_method:
            of_method[f.__func__] = inspected(f)
        args, defaults = of_method[f.__func__]
        return list(args), list(defaults)

    core.get_function_args_defaults = get_function_args_defaults
    parsed: dict[Any, Any] = {}

    def view_as(self: Any, cls: Any) -> Any:
        key = cls, None if self._flags is None else tuple(self._flags)
        if key not in parsed:
            parsed[key] = cls(self._flags)._visible_options
        view = cls.__new__(cls)
        view.__dict__.update(
            _flags=self._flags, _visible_options=copy.deepcopy(parsed[key]), _all_options=self._all_options
        )
        for name in view._visible_option_list():
            self._all_options.setdefault(name, getattr(view._visible_options, name))
        return view

    PipelineOptions.view_as = view_as


if __name__ == "__main__":
    _main(sys.argv[1])
