"""Which runner Beam's flags name, and what is said of one that cannot do the work."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from pipeline.beam_flags import embedded
from schemas.errors import UsageError


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


def test_every_engine_that_is_known_is_one_of_beams() -> None:
    from pipeline.beam_flags import KNOWN

    assert set(KNOWN) <= set(StandardOptions.KNOWN_RUNNER_NAMES)
