"""Running a Beam pipeline: which runner, how many processes, and what happens when one of them dies."""

import logging
import os
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from m3h.pipeline.progress.stage import NAMESPACE
from m3h.pipeline.runtime.beam_flags import beam_options, embedded
from m3h.pipeline.runtime.disk_shuffle import install, shorten_queues
from m3h.pipeline.runtime.interruption import DEAF, KILLED_BY_INTERRUPT, Interruption
from m3h.pipeline.runtime.memory import limit_arenas
from m3h.schemas.console import FAILED, show
from m3h.schemas.errors import M3hError
from m3h.schemas.own_module import module_command

_WORKER_THREAD = "run_worker"  # as the embedded runner names the thread that waits for a worker process


def run_pipeline(wire: Callable[[beam.Pipeline], None], beam_flags: Sequence[str], workers: int) -> dict[str, int]:
    """Wire and run a pipeline to its end. An exception of a stage is raised here.

    Args:
        wire: applies the transforms to the pipeline.
        beam_flags: Beam's own; they name the runner, among other things.
        workers: processes of the embedded runner; a cluster has its own.

    Returns:
        Our counters as the runner has them in the end.

    Raises:
        UsageError: where the flags are none, or name a runner that cannot do the work.
        M3hError: where another engine lost a worker, or is gone.
    """
    limit_arenas()
    options = beam_options(beam_flags)
    if not embedded(beam_flags):
        return _counters(_run_elsewhere(wire, options))
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = _NEVER
    shorten_queues()
    install()
    environment = _worker_environment(options, workers) if workers > 1 else None

    def run() -> Any:
        with beam.Pipeline(runner=FnApiRunner(default_environment=environment), options=options) as root:
            wire(root)
        return root.result

    interruption = Interruption()
    with _Watchdog(interruption):
        return _counters(interruption.watch(run))


def _worker_environment(options: PipelineOptions, workers: int) -> SubprocessSDKEnvironment:
    """Worker processes of our own, so many of them."""
    options.view_as(DirectOptions).direct_num_workers = workers
    worker = shlex.join(module_command("m3h.pipeline.runtime.worker"))
    return SubprocessSDKEnvironment.from_command_string(f"{DEAF}exec {worker}")  # exec: no shell between it and us


def try_runner() -> None:
    """Run a pipeline of two elements through the embedded runner."""
    run_pipeline(lambda root: root | beam.Create([1, 2]) | beam.Map(str), (), 1)


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
        logging.getLogger(__name__).info("the runner gives no counters (%s)", " ".join(str(error).split())[:200])
        return {}
    counters: Counter[str] = Counter()
    for counter in found:
        counters[counter.key.metric.name] += counter.committed or counter.attempted or 0
    return dict(sorted(counters.items()))


_PATIENCE_SECONDS = 10.0
"""How long the threads that wait for worker processes may take to say how those ended, once the pipeline has failed."""


class _Watchdog:
    """Ends the build when a worker process was killed: the embedded runner would wait for it forever.

    Beam keeps a thread per worker process, which raises when the process dies; Beam ignores that. We do not: kill the
    siblings, say so, exit 1. What was finished stays finished, and the same command goes on from there.
    """

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def __enter__(self) -> None:
        self._before = threading.excepthook
        # A dead worker breaks streams: that is noise, unless no worker died.
        self._other_deaths: list[threading.ExceptHookArgs] = []
        threading.excepthook = self._on_thread_death

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is KeyboardInterrupt:
            return
        if kind is not None:  # perhaps the broken stream of a dead worker, seen here before its own thread woke up
            deadline = time.monotonic() + _PATIENCE_SECONDS
            for thread in threading.enumerate():
                if thread.name == _WORKER_THREAD:
                    thread.join(max(0.0, deadline - time.monotonic()))
        threading.excepthook = self._before
        for death in self._other_deaths:
            self._before(death)

    def _on_thread_death(self, args: threading.ExceptHookArgs) -> None:
        death = str(args.exc_value)
        if "Worker subprocess exited" not in death:
            self._other_deaths.append(args)
            return
        if self._interruption.happened(_PATIENCE_SECONDS if KILLED_BY_INTERRUPT in death else 0):
            return
        self._interruption.end_processes()
        show(
            f"error: a worker process died ({args.exc_value}); out of memory? "
            "Finished shards are kept: the same command resumes, --workers 1 needs least memory.",
            sys.stderr,
        )
        os._exit(FAILED)
