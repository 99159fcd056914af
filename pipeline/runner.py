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

_WORKER_THREAD = "run_worker"  # as the embedded runner names the thread that waits for a worker process

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


_PATIENCE_SECONDS = 10.0
"""How long the threads that wait for worker processes may take to say how those ended, once the pipeline has failed."""


class _Watchdog:
    """Ends the build when a worker process was killed: the embedded runner would wait for it forever.

    Beam keeps a thread per worker process, which raises when the process dies; nobody listens. We do: kill the
    siblings, say so, exit 1. What was finished stays finished, and the same command goes on from there.
    """

    def __enter__(self) -> None:
        self._before = threading.excepthook
        self._others: list[threading.ExceptHookArgs] = []  # a dead worker breaks streams: noise, unless nobody died
        threading.excepthook = self._on_thread_death

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # perhaps the broken stream of a dead worker, seen here before its own thread woke up
            deadline = time.monotonic() + _PATIENCE_SECONDS
            for thread in threading.enumerate():
                if thread.name == _WORKER_THREAD:
                    thread.join(max(0.0, deadline - time.monotonic()))
        threading.excepthook = self._before
        for other in self._others:
            self._before(other)

    def _on_thread_death(self, args: threading.ExceptHookArgs) -> None:
        if "Worker subprocess exited" not in str(args.exc_value):
            self._others.append(args)
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
