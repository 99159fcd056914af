"""Which runner Beam's flags name, and what is said of one that cannot do the work."""

import re
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from m3h.pipeline.runtime.beam_flags import EMBEDDED, KNOWN, beam_options, embedded
from m3h.pipeline.runtime.flag_readers import refuse_unread
from m3h.schemas.errors import UsageError
from tests.commands import ROOT


@pytest.mark.parametrize("flags", [[], ["--runner=FnApiRunner"], ["--runner", "fnapi"], ["--direct_num_workers=2"]])
def test_the_embedded_runner_is_meant(flags: list[str]) -> None:
    assert embedded(flags)


def test_another_engine_is_meant(tmp_path: Path) -> None:
    (tmp_path / "prism").touch()
    assert not embedded(["--runner=PrismRunner", f"--prism_location={tmp_path / 'prism'}"])
    assert not embedded(["--runner", "portable", "--job_endpoint=localhost:8073"])
    assert not embedded(["--runner=PrismRunner", "--job_endpoint=localhost:8073"])
    assert not embedded(["--runner=SparkRunner", "--spark_job_server_jar=https://example.org/server.jar"])
    assert not embedded(["--runner=apache_beam.runners.portability.prism_runner.PrismRunner"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--runner=DaskRunner"], "--runner=DaskRunner: refused, it loses rows without saying so. Use FnApiRunner"),
        (["--runner", "DaskRunner"], "refused, it loses rows"),
        (["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"], "refused, it loses rows"),
        (["--runner=DirectRunner"], "refused, it may try to download another engine. Use FnApiRunner"),
        (["--runner=direct"], "no runner named 'direct'"),
        (["--runner=PrismRuner"], "no runner named 'PrismRuner'. Did you mean 'PrismRunner'?"),
        (["--runner=InteractiveRunner"], "no runner named 'InteractiveRunner'"),
        (["--runner=PrismRunner"], "expected --prism_location=…, Prism's program, which `GOBIN=$PWD go install"),
        (["--runner=prism", "--prism_location=/no/prism"], "--prism_location=/no/prism: no such file"),
        (["--runner=SparkRunner"], "--spark_job_server_jar=…, the file beam-runners-spark-3-job-server-"),
        (["--runner=PortableRunner"], "expected --job_endpoint=…, HOST:PORT"),
        (["--runner=no.such.Runner"], "--runner=no.such.Runner: No module named 'no'"),
        (["--runner=os.path"], "expected a class of Beam's PipelineRunner"),
        (["--parallelism=many"], "argument --parallelism: invalid int value: 'many'"),
        (["--runner"], "argument --runner: expected one argument"),
        (["--runer=FlinkRunner"], "--runer: Beam has no such flag. Did you mean --runner?"),
        (["--runer", "FlinkRunner"], "--runer: Beam has no such flag. Did you mean --runner?"),
        (["-runner=FlinkRunner"], "-runner: Beam has no such flag. Did you mean --runner?"),
        (["--run=FlinkRunner"], "--run: Beam has no such flag. Did you mean --runner?"),
        (["--colour=red"], "--colour: Beam has no such flag."),
        (["FlinkRunner"], "FlinkRunner: expected a flag of Beam's, such as --runner=…"),
        (
            ["--parallelism=4"],
            "--parallelism: only FlinkRunner and PortableRunner read it, and the runner is FnApiRunner",
        ),
        (["--sdk_worker_parallelism=4"], "and the runner is FnApiRunner"),
        (["--no_use_public_ips"], "--no_use_public_ips: only DataflowRunner reads it, and the runner is FnApiRunner"),
        (
            ["--runner=prism", "--prism_location=p", "--flink_master=a:1"],
            "--flink_master: only FlinkRunner and Portable",
        ),
        (["--runner=PortableRunner", "--job_endpoint=a:1", "--num_workers=3"], "--num_workers: only DataflowRunner"),
        (["--runner=PortableRunner", "--job_endpoint=a:1", "--paralelism=3"], "Did you mean --parallelism?"),
        (["--runner=PortableRunner", "--job_endpoint=a:1", "--direct_num_workers=3"], "only FnApiRunner reads it"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        embedded(flags)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr().err == ""


def documented() -> list[list[str]]:
    """Beam's flags behind each `--runner=` on our pages."""
    found = []
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text().replace("\\\n", " ")
        for words in re.findall(r"--runner=[^`\n]*(?:\n--[^`\n]*)*", text):
            found.append([word for word in words.split() if word.startswith("--")])
    return found


@pytest.mark.parametrize("flags", documented(), ids=" ".join)
def test_every_flag_on_our_pages_is_read_by_its_runner(flags: list[str]) -> None:
    runner = beam_options(flags).get_all_options()["runner"]
    refuse_unread(flags, runner if runner in KNOWN else "")


def test_more_flags_that_are_read() -> None:
    refuse_unread(
        ["--s3_region_name=eu", "--hdfs_host=h", "--project=p", "--experiments=a", "--temp_location=t"], EMBEDDED
    )
    refuse_unread(["--direct_running_mode=in_memory", "--resource_hints=min_ram=4GB", "--streaming"], EMBEDDED)
    refuse_unread(["--state_backend=rocksdb", "--checkpointing_interval", "1000"], "FlinkRunner")
    refuse_unread(["--my_own=1"], "")


def test_flags_on_our_pages_are_found() -> None:
    flags = {flag.partition("=")[0] for flags in documented() for flag in flags}
    assert {"--environment_cache_millis", "--no_use_public_ips", "--spark_master_url", "--prism_log_level"} <= flags


def test_every_engine_that_is_known_is_one_of_beams() -> None:
    assert set(KNOWN) <= set(StandardOptions.KNOWN_RUNNER_NAMES)
