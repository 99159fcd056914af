"""Which of Beam's flags a runner reads. Beam itself ignores the others, so a mistyped flag would change nothing."""

import argparse
import difflib
from collections.abc import Sequence

from apache_beam.options import pipeline_options as beam

from m3h.schemas.errors import UsageError

_JOB_SERVICES = ("FlinkRunner", "SparkRunner", "PortableRunner", "PrismRunner")
"""Runners that hand the pipeline to a job service."""

_READERS: dict[type[beam.PipelineOptions], tuple[str, ...]] = {
    beam.DirectOptions: ("FnApiRunner",),
    beam.FlinkRunnerOptions: ("FlinkRunner", "PortableRunner"),
    beam.SparkRunnerOptions: ("SparkRunner", "PortableRunner"),
    beam.PrismRunnerOptions: ("PrismRunner",),
    beam.PortableOptions: _JOB_SERVICES,
    beam.JobServerOptions: _JOB_SERVICES,
    beam.TestDataflowOptions: ("DataflowRunner",),
}
"""The only runners that read the flags of a class. A PortableRunner's job service may be of any kind."""

_DATAFLOW = frozenset(
    """
    dataflow_endpoint staging_location region template_location update transform_name_mapping enable_streaming_engine
    dataflow_kms_key create_from_snapshot flexrs_goal dataflow_service_options enable_hot_key_logging
    enable_artifact_caching num_workers max_num_workers autoscaling_algorithm machine_type disk_size_gb disk_type
    disk_provisioned_iops disk_provisioned_throughput_mibps worker_region worker_zone zone network subnetwork
    use_public_ips min_cpu_platform dataflow_job_file number_of_worker_harness_threads
    """.split()  # noqa: SIM905
)
"""Options of classes that others read too, which only Dataflow reads. Named as Beam stores them."""

_WITH_OWN_FLAGS = ("FlinkRunner", "SparkRunner", "PortableRunner", "")
"""Runners whose job service, or whose own code, knows flags that Beam's Python does not list. "" is a user's runner."""


def refuse_unread(flags: Sequence[str], runner: str = "") -> None:
    """Refuse flags that nobody reads.

    Args:
        flags: Beam's flags, of which each known one has a value that fits.
        runner: One of Beam's names; "" for a class of the user's, which may read any flag.

    Raises:
        UsageError: Beam does not know a flag, or only another runner reads it.
    """
    known = _known_flags(flags)
    for word in known.parse_known_args(list(flags))[1]:
        _refuse_unknown(word, list(known._option_string_actions), runner)
    for word in flags if runner else ():
        name = word.partition("=")[0]
        action = known._option_string_actions.get(name)
        readers = _readers(action.dest) if action else ()
        if readers and runner not in readers:
            who = f"{' and '.join(readers)} read it" if len(readers) > 1 else f"{readers[0]} reads it"
            raise UsageError(f"{name}: only {who}, and the runner is {runner}. Leave it out, or name its runner.")


def _known_flags(flags: Sequence[str]) -> argparse.ArgumentParser:
    """A parser of the flags of all Beam's classes of options, a user's own among them."""
    parsers: list[argparse.ArgumentParser] = []
    beam.PipelineOptions(list(flags)).get_all_options(add_extra_args_fn=parsers.append)
    return parsers[0]


def _refuse_unknown(word: str, known: Sequence[str], runner: str) -> None:
    name = word.partition("=")[0]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near:
        raise UsageError(f"{name}: Beam has no such flag. Did you mean {near[0]}?")
    if runner not in _WITH_OWN_FLAGS:
        what = "Beam has no such flag" if name.startswith("-") else "expected a flag of Beam's, such as --runner=…"
        raise UsageError(f"{name}: {what}. See docs/engines.md.")


def _readers(option: str) -> tuple[str, ...]:
    """The only runners that read an option; none where all may."""
    if option in _DATAFLOW:
        return ("DataflowRunner",)
    return next((readers for owner, readers in _READERS.items() if option in _options_of(owner)), ())


def _options_of(owner: type[beam.PipelineOptions]) -> set[str]:
    return set(owner([]).get_all_options(current_only=True))
