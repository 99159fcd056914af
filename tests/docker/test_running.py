"""The built images: what is in them, and what they do on a root that they cannot write, as a user without rights."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from google.protobuf import struct_pb2
from safetensors.numpy import load_file

from tests.commands import files_of, run
from tests.conftest import Built
from tests.docker.containers import Image, end, free
from tests.docker.images_folder import IMAGES
from tests.docker.sample import build_words, copy_inputs
from tests.pipeline.helpers import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.images]

GIB = 2**30
LARGEST = {"m3h-trainer": 2.0 * GIB, "m3h-worker": 2.8 * GIB, "m3h-flink": 1.0 * GIB, "m3h-worker-gpu": 6.5 * GIB}
"""Bytes of an image's files, on local bases; CUDA is in the last one alone."""
WORKERS = [tag for tag in IMAGES.values() if tag.startswith("m3h-worker")]


def size(image: Image) -> int:
    done = subprocess.run(["du", "-sb", image.root], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


@pytest.mark.parametrize("name", IMAGES.values())
def test_an_image_is_small_and_has_no_compiler_no_cache_and_nothing_of_its_builder(
    images: Mapping[str, Image], name: str
) -> None:
    image = images[name]
    assert size(image) < LARGEST[name]
    for program in ("gcc", "cc", "as", "ld", "make", "mvn"):
        assert shutil.which(program, path=f"{image.root}/usr/bin:{image.root}/usr/local/bin") is None
    for folder in ("var/lib/apt/lists", "var/cache/apt", "root/.cache", "root/.m2", "run/secrets"):
        left = [path for path in (image.root / folder).rglob("*") if path.is_file() and path.stat().st_size]
        assert left == []
    assert not (image.root / "etc" / "pip.conf").exists()
    for path in (image.root / "etc" / "hostname", image.root / "etc" / "resolv.conf"):
        assert not path.exists() or path.read_text() == ""  # buildah leaves an empty file where it lends this machine's


@pytest.mark.parametrize("name", IMAGES.values())
def test_an_image_says_what_it_is_and_runs_as_nobody_special(images: Mapping[str, Image], name: str) -> None:
    config = images[name].config
    assert int(config["User"]) > 0
    assert config["Labels"]["org.opencontainers.image.title"].startswith("m3h")
    assert len(config["Labels"]["org.opencontainers.image.revision"]) == 40
    assert config["StopSignal"] in ("SIGINT", "SIGTERM")
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("name", ["m3h-trainer", *WORKERS])
def test_the_bill_of_materials_names_every_package(images: Mapping[str, Image], name: str) -> None:
    (site,) = images[name].root.glob("opt/m3h/lib/python3*/site-packages")
    bill = json.loads((images[name].root / "m3h" / "sbom.cdx.json").read_text())
    listed = {(part["name"].lower().replace("_", "-"), part["version"]) for part in bill["components"]}
    found = [path.name.removesuffix(".dist-info").rpartition("-") for path in site.glob("*.dist-info")]
    assert bill["bomFormat"] == "CycloneDX"
    assert {(package.lower().replace("_", "-"), version) for package, _, version in found} <= listed
    assert any(package.startswith("nvidia") for package, _ in listed) == name.endswith("-gpu")


def test_the_trainer_trains_an_epoch_to_our_weights_and_predicts(
    images: Mapping[str, Image], sample: Built, sample_run: Path, tmp_path: Path
) -> None:
    """Its torch, which lacks CUDA's libraries, computes forward and backward what ours does."""
    shutil.copytree(sample.folder, tmp_path / "dataset")
    free(tmp_path)
    small = ["width=16", "word_width=8", "batch_size=32", "epochs=1", "warmup_epochs=1", "threads=1"]
    words = ["train", "--dataset", "dataset", "--system", "gen-cls-m3h", "--out", "run", "--set", *small]
    trained = images["m3h-trainer"].run(*words, binds={tmp_path: "/data"}, pod="")
    assert trained.returncode == 0, trained.stderr
    predicted = images["m3h-trainer"].run("predict", "run", "--dataset", "dataset", binds={tmp_path: "/data"}, pod="")
    assert predicted.returncode == 0, predicted.stderr
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (sample_run, tmp_path / "run"))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        np.testing.assert_allclose(theirs[name], weights, rtol=1e-4, atol=1e-6, err_msg=name)


def test_whoever_runs_them_builds_and_trains(images: Mapping[str, Image], sample: Built, tmp_path: Path) -> None:
    """A user whom the images do not know, without a name and a home, as by `docker run --user 12345`."""
    copy_inputs(tmp_path, posts=12)
    shutil.copytree(sample.folder, tmp_path / "sample")
    free(tmp_path)
    small = ["width=16", "word_width=8", "batch_size=32", "epochs=1", "warmup_epochs=1", "threads=1"]
    words = ["train", "--dataset", "sample", "--system", "gen-cls-m3h", "--out", "run", "--set", *small]
    how = {"user": 12345, "binds": {tmp_path: "/data"}, "pod": ""}
    for image, line, made in (
        ("m3h-trainer", words, "run/model.safetensors"),
        ("m3h-worker", [*build_words(), "--workers", 1], "dataset/manifest.json"),
    ):
        done = images[image].run(*line, **how)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / made).stat().st_uid == 12345


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_reads_pictures_and_computes_grids_as_we_do(
    images: Mapping[str, Image], name: str, tmp_path: Path
) -> None:
    """The same bytes as without an image, but for what names the version of Python."""
    copy_inputs(tmp_path, posts=12)
    worker = images[name]
    done = worker.run(*build_words(), "--workers", 1, binds={tmp_path: "/data"}, pod="")
    assert done.returncode == 0, done.stderr
    check = worker.run(entrypoint=worker.config["Healthcheck"]["Test"][1:], pod="")
    assert check.returncode == 0, check.stderr  # of a command that runs
    ours = run("pipeline", *build_words("ours"), "--workers", 1, cwd=tmp_path)
    assert ours.code == 0, ours.err
    theirs, here = files_of(tmp_path / "dataset"), files_of(tmp_path / "ours")
    differ = {name for name in theirs.keys() | here.keys() if theirs.get(name) != here.get(name)}
    assert differ <= {"card.md", "manifest.json", "manifest.sha256"}  # they name the version of Python


class Runner(
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
    beam_fn_api_pb2_grpc.BeamFnControlServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
):
    """What a Beam runner is to a worker that boots: it tells where to find it, and waits for the worker to come."""

    def __init__(self) -> None:
        self.address = ""
        self.come: futures.Future[str] = futures.Future()
        self.said: list[str] = []

    def GetProvisionInfo(self, request, context):  # type: ignore[no-untyped-def]
        here = endpoints_pb2.ApiServiceDescriptor(url=self.address)
        info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=struct_pb2.Struct(), control_endpoint=here, logging_endpoint=here, artifact_endpoint=here
        )
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)

    def Logging(self, request_iterator, context):  # type: ignore[no-untyped-def]
        for entries in request_iterator:
            self.said += [entry.message for entry in entries.log_entries]
        yield from ()

    def Control(self, request_iterator, context):  # type: ignore[no-untyped-def]
        """Ask the worker for its status of nothing, as any instruction; remember who answers."""
        who = dict(context.invocation_metadata())["worker_id"]
        yield beam_fn_api_pb2.InstructionRequest(
            instruction_id="1", harness_monitoring_infos=beam_fn_api_pb2.HarnessMonitoringInfosRequest()
        )
        assert next(request_iterator).instruction_id == "1"
        self.come.set_result(who)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_answers_beams_boot_protocol(images: Mapping[str, Image], name: str, tmp_path: Path) -> None:
    runner = Runner()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    for add in (
        beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server,
        beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server,
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server,
    ):
        add(runner, server)
    runner.address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    line = images[name].line("--id=7-1", f"--provision_endpoint={runner.address}", pod="")
    with open(tmp_path / "log", "wb") as log:
        worker = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        wait_for(lambda: runner.come.done() or worker.poll() is not None, seconds=300)
        assert runner.come.done(), (runner.said, (tmp_path / "log").read_text())
        assert runner.come.result() == "7-1"
    finally:
        end(worker)
        server.stop(None)
