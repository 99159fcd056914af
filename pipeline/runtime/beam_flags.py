"""Beam's flags: which runner they name, and whether it can do the work. Said before anything is done.

Beam is imported where there are flags: without any there is nothing to ask it.
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.schemas.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

EMBEDDED = "FnApiRunner"
"""Named, because Beam's default first tries to download another engine, and can hang doing so."""

KNOWN = (EMBEDDED, "FlinkRunner", "PrismRunner", "SparkRunner", "PortableRunner", "DataflowRunner")

_REFUSED = {"dask": "it loses rows without saying so", "directrunner": "it may try to download another engine"}

_BEAM = version("apache-beam")
_PRISM = f"GOBIN=$PWD go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{_BEAM}"

_NEEDS = {
    "FlinkRunner": ("flink_job_server_jar", "the jar that `python docker/flink/install.py HOME` makes"),
    "PrismRunner": ("prism_location", f"Prism's program, which `{_PRISM}` makes"),
    "SparkRunner": ("spark_job_server_jar", f"the file beam-runners-spark-3-job-server-{_BEAM}.jar"),
    "PortableRunner": ("job_endpoint", "HOST:PORT of a job service that runs"),
}
"""runner: the option without which Beam would download the thing, or fail, and what that names."""


def beam_options(flags: Sequence[str]) -> "PipelineOptions":
    """The flags as Beam understands them. UsageError for a value that is none."""
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = PipelineOptions(list(flags))
            options.get_all_options()
    except SystemExit as error:  # argparse's way; the last line says what it is about
        raise UsageError(f"flags after `--`: {said.getvalue().strip().rpartition('error: ')[2]}.") from error
    return options


def embedded(flags: Sequence[str]) -> bool:
    """Whether these flags leave the work to the embedded runner.

    Raises UsageError for a runner that is known to lose data or to hang, that does not exist, or that lacks a part, and
    for a flag that nobody reads.
    """
    if not flags:
        return True
    from m3h.pipeline.runtime.flag_readers import refuse_unread

    options = beam_options(flags).get_all_options()
    asked = options["runner"] or EMBEDDED
    for word, why in _REFUSED.items():
        if word in asked.lower():
            raise UsageError(f"--runner={asked}: refused, {why}. Use {EMBEDDED}, Flink or Prism; see docs/engines.md.")
    if "." in asked:
        _importable(asked)
        refuse_unread(flags)
        return False
    by_name = {name.lower(): name for name in KNOWN}
    runner = by_name.get(asked.lower()) or by_name.get(f"{asked.lower()}runner")
    if runner is None:
        raise unknown_name("runner", asked, KNOWN)
    refuse_unread(flags, runner)
    if runner == "DataflowRunner" and not _has_google():
        raise UsageError("--runner=DataflowRunner: needs `pip install 'apache-beam[gcp]'` beside us; docs/dataflow.md.")
    if runner in _NEEDS and not options["job_endpoint"]:
        _check_part(runner, options)
    return runner == EMBEDDED


def _check_part(runner: str, options: dict[str, Any]) -> None:
    option, what = _NEEDS[runner]
    given = options[option]
    if not given:
        raise UsageError(
            f"--runner={runner}: expected --{option}=…, {what}; nothing is downloaded. See docs/engines.md."
        )
    if "://" not in given and not Path(given).is_file():
        raise UsageError(f"--{option}={given}: no such file; expected {what}.")


def _importable(path: str) -> None:
    """UsageError unless it is a user's own runner that can be imported."""
    from apache_beam.runners.runner import PipelineRunner

    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--runner={path}: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, PipelineRunner)):
        raise UsageError(f"--runner={path}: expected a class of Beam's PipelineRunner, found {found!r}.")


def _has_google() -> bool:
    try:
        import_module("apache_beam.runners.dataflow.internal.apiclient")
    except ImportError:
        return False
    return True
