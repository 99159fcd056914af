"""The compose file for Flink: every pool beside its TaskManager, one set of versions, the flags that the tests run."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import ROOT

FOLDER = ROOT / "docker"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def test_every_task_manager_has_a_pool_in_its_own_network(services: dict[str, Any]) -> None:
    managers = {name for name, service in services.items() if service.get("command") == "taskmanager"}
    pools = [service for service in services.values() if service.get("command") == ["--worker_pool"]]
    assert len(managers) == 2
    assert sorted(pool["network_mode"] for pool in pools) == sorted(f"service:{name}" for name in managers)


def test_whoever_computes_or_submits_sees_one_folder_under_one_name(services: dict[str, Any]) -> None:
    workers = [service for service in services.values() if service["image"] == "m3h-worker"]
    assert len(workers) == 3
    assert len({tuple(worker["volumes"]) for worker in workers}) == 1


def test_what_is_staged_lies_where_task_managers_look_for_it(services: dict[str, Any]) -> None:
    """Else a worker waits for ever for files that the job server has put into its own folder."""
    assert "--artifacts-dir=/staged" in services["job-server"]["command"]
    assert {"staged:/staged"} == {v for s in services.values() if s["image"] == "m3h-flink" for v in s["volumes"]}


def test_all_recipes_are_there_and_every_dependency_is_a_service(services: dict[str, Any]) -> None:
    for service in services.values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert set(service.get("depends_on", ())) <= services.keys()


def test_one_version_of_flink_everywhere() -> None:
    """The image, the jars of PyPI, and the version that Beam's runner was made for."""
    recipe, pom = (FOLDER / "flink.Dockerfile").read_text(), (FOLDER / "flink" / "pom.xml").read_text()
    (image,) = re.findall(r"FLINK_BASE=docker.io/library/flink:([\d.]+)", recipe)
    assert f"apache-flink-libraries=={image}" in (FOLDER / "flink" / "install.py").read_text()
    assert re.findall(r"beam-runners-flink-([\d.]+)<", pom) == [image.rpartition(".")[0]]


def test_the_page_and_the_compose_file_name_the_flags_that_start_prints() -> None:
    cluster = runpy.run_path(str(FOLDER / "flink" / "cluster.py"))["Cluster"](Path("home"))
    flags = cluster.flags(2).split()
    page = (ROOT / "docs" / "flink.md").read_text()
    assert [flag for flag in flags if flag not in page] == []
    composed = set(re.findall(r"--[a-z_]+(?==)", (FOLDER / "compose.yaml").read_text().partition("\nname:")[0]))
    assert composed == {flag.partition("=")[0] for flag in flags}
