"""docker/kubernetes.yaml is of one piece; test_manifest_schemas.py compares it with its schemas."""

import re
from typing import Any

import yaml

from tests.commands import ROOT

RESOURCES = list(yaml.safe_load_all((ROOT / "docker" / "kubernetes.yaml").read_text()))


def resource(kind: str) -> dict[str, Any]:
    (found,) = [one for one in RESOURCES if one["kind"] == kind]
    return found


def pods() -> list[dict[str, Any]]:
    task_manager = resource("FlinkDeployment")["spec"]["taskManager"]["podTemplate"]["spec"]
    return [task_manager, *(resource(kind)["spec"]["template"]["spec"] for kind in ("Deployment", "Job"))]


def test_every_mount_has_its_volume_and_every_claim_is_made() -> None:
    claims = {one["metadata"]["name"] for one in RESOURCES if one["kind"] == "PersistentVolumeClaim"}
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]} == {*volumes}
        assert {v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "emptyDir" not in v} <= claims


def test_every_pool_is_in_the_pod_of_its_task_manager() -> None:
    names = [container["name"] for container in pods()[0]["containers"]]
    assert names == ["flink-main-container", "pool"]  # the operator's name for Flink's own


def test_flink_is_of_the_version_of_its_image_and_configured_as_in_the_compose_file() -> None:
    spec = resource("FlinkDeployment")["spec"]
    recipe = (ROOT / "docker" / "flink.Dockerfile").read_text()
    (version,) = re.findall(r"FLINK_BASE=docker.io/library/flink:(\d+\.\d+)", recipe)
    assert spec["flinkVersion"] == f"v{version.replace('.', '_')}"
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    composed = yaml.safe_load(compose["services"]["jobmanager"]["environment"]["FLINK_PROPERTIES"])
    configured = {key: yaml.safe_load(value) for key, value in spec["flinkConfiguration"].items()}
    assert configured.items() <= composed.items()
