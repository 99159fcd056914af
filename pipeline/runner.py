"""Running a Beam pipeline: which runner, how many processes, and what happens when one of them dies."""

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import apache_beam as beam
import psutil
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from schemas.console import FAILED
from schemas.errors import UsageError

EMBEDDED = "FnApiRunner"
"""Named, because Beam's default first tries to download another engine, and can hang doing so."""

_REFUSED = {"dask": "it loses rows without saying so", "directrunner": "it may try to download another engine"}


def embedded(beam_flags: Sequence[str]) -> bool:
    """Whether these flags leave the work to the embedded runner.

    Raises UsageError for a runner that is known to lose data or to hang.
    """
    named = [flag.partition("=")[2] for flag in beam_flags if flag.startswith("--runner=")]
    for runner in named:
        for word, why in _REFUSED.items():
            if word in runner.lower():
                raise UsageError(f"--runner={runner}: refused, {why}. Use {EMBEDDED}, or a Flink or Spark cluster.")
    return not named or named[-1] == EMBEDDED


def run_pipeline(wire: Callable[[beam.Pipeline], None], beam_flags: Sequence[str], workers: int) -> None:
    """Wire and run a pipeline to its end. workers: processes of the embedded runner; a cluster has its own.

    An exception of a stage is raised here.
    """
    if not embedded(beam_flags):
        with beam.Pipeline(options=PipelineOptions(list(beam_flags))) as root:
            wire(root)
        return
    flags = [flag for flag in beam_flags if not flag.startswith("--runner=")]
    environment = None
    if workers > 1:
        flags.append(f"--direct_num_workers={workers}")
        worker = f"exec {shlex.quote(sys.executable)} -m pipeline.worker"  # exec: no shell between it and us
        environment = SubprocessSDKEnvironment.from_command_string(worker)
    runner = FnApiRunner(default_environment=environment)
    with _Watchdog(), beam.Pipeline(runner=runner, options=PipelineOptions(flags)) as root:
        wire(root)


_GRACE_SECONDS = 1.0
"""A dead worker may first show as a broken stream in the main thread: its own thread then still gets to say why."""


class _Watchdog:
    """Ends the build when a worker process was killed: the embedded runner would wait for it forever.

    Beam's own thread notices the death and raises; nobody listens. We do: kill the siblings, say so, exit 1. What was
    finished stays finished, and the same command goes on from there.
    """

    def __enter__(self) -> None:
        self._before = threading.excepthook
        threading.excepthook = self._on_thread_death

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            time.sleep(_GRACE_SECONDS)
        threading.excepthook = self._before

    def _on_thread_death(self, args: threading.ExceptHookArgs) -> None:
        if "Worker subprocess exited" not in str(args.exc_value):
            self._before(args)
            return
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # such as a Tesseract that was just done
                child.kill()
        sys.stderr.write(
            f"error: a worker process died ({args.exc_value}); out of memory? "
            "Finished shards are kept: the same command resumes, --workers 1 needs least memory.\n"
        )
        sys.stderr.flush()
        os._exit(FAILED)
