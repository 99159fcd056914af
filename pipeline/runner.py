"""Running a Beam pipeline: which runner, how many processes, and what happens when one of them dies."""

import logging
import os
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import apache_beam as beam
import grpc
import psutil
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from pipeline.beam_flags import beam_options, embedded
from pipeline.memory import keep_little
from pipeline.stages.report import NAMESPACE
from schemas.console import FAILED
from schemas.errors import M3hError

_WORKER_THREAD = "run_worker"  # as the embedded runner names the thread that waits for a worker process


def run_pipeline(wire: Callable[[beam.Pipeline], None], beam_flags: Sequence[str], workers: int) -> dict[str, int]:
    """Wire and run a pipeline to its end. workers: processes of the embedded runner; a cluster has its own.

    An exception of a stage is raised here. Returns our counters as the runner has them in the end.
    """
    keep_little()
    options = beam_options(beam_flags)
    if not embedded(beam_flags):
        return _counters(_run_elsewhere(wire, options))
    environment = None
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = _NEVER
    if workers > 1:
        options.view_as(DirectOptions).direct_num_workers = workers
        worker = f"exec {shlex.quote(sys.executable)} -m pipeline.worker"  # exec: no shell between it and us
        environment = SubprocessSDKEnvironment.from_command_string(worker)
    runner = FnApiRunner(default_environment=environment)
    with _Watchdog(), beam.Pipeline(runner=runner, options=options) as root:
        wire(root)
    return _counters(root.result)


_NEVER = 0
"""When the clock flushes what is being sent to a worker process. Beam does so each second, in another thread: what is
written between its copying and its wiping is lost, silently (seen with 1 GB for a process)."""


def _run_elsewhere(wire: Callable[[beam.Pipeline], None], options: PipelineOptions) -> Any:
    """By another engine; returns Beam's result.

    M3hError where that lost a worker or is gone itself; a fault of ours keeps its traceback.
    """
    try:
        with beam.Pipeline(options=options) as root:
            wire(root)
        return root.result
    except (RuntimeError, grpc.RpcError) as error:
        said = error.details() if isinstance(error, grpc.Call) else str(error)
        if "Traceback" in said:
            raise
        raise M3hError(f"the engine gave up: {said}. Finished shards are kept: the same command resumes.") from error


def _counters(result: Any) -> dict[str, int]:
    """Our counters, each summed over its steps: as committed, or where a runner commits none, as attempted.

    None of a runner that keeps no metrics, or whose end was the end of its metrics too.
    """
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    except (NotImplementedError, RuntimeError, ValueError, grpc.RpcError) as error:  # the run itself went well
        logging.getLogger(__name__).info("the runner tells no counters (%s)", " ".join(str(error).split())[:200])
        return {}
    counters: Counter[str] = Counter()
    for counter in found:
        counters[counter.key.metric.name] += counter.committed or counter.attempted or 0
    return dict(sorted(counters.items()))


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
