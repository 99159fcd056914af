"""docker/kubernetes.yaml: valid by the schemas of Kubernetes and of Flink's operator, and of one piece."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.commands import ROOT

KUBERNETES = "1.30"
RESOURCES = list(yaml.safe_load_all((ROOT / "docker" / "kubernetes.yaml").read_text()))
OPERATOR = json.loads(Path(__file__).with_name("flink_deployment.json").read_text())


def resource(kind: str) -> dict[str, Any]:
    (found,) = [one for one in RESOURCES if one["kind"] == kind]
    return found


def pods() -> list[dict[str, Any]]:
    task_manager = resource("FlinkDeployment")["spec"]["taskManager"]["podTemplate"]["spec"]
    return [task_manager, *(resource(kind)["spec"]["template"]["spec"] for kind in ("Deployment", "Job"))]


@pytest.mark.parametrize("one", RESOURCES, ids=lambda one: one["kind"])
def test_every_resource_is_what_its_schema_wants(one: dict[str, Any]) -> None:
    if one["kind"] == "FlinkDeployment":
        jsonschema.validate(one["spec"], OPERATOR)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}}
        kubernetes_validate.validate(pod | one["spec"]["taskManager"]["podTemplate"], KUBERNETES, strict=True)
    else:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_a_mistyped_field_is_found() -> None:
    spec = resource("FlinkDeployment")["spec"]
    with pytest.raises(jsonschema.ValidationError, match="flinkVersoin"):
        jsonschema.validate({**spec, "flinkVersoin": "v1_19"}, OPERATOR)


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
    (version,) = re.findall(r"FLINK_BASE=flink:(\d+\.\d+)", (ROOT / "docker" / "flink.Dockerfile").read_text())
    assert spec["flinkVersion"] == f"v{version.replace('.', '_')}"
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    composed = yaml.safe_load(compose["services"]["jobmanager"]["environment"]["FLINK_PROPERTIES"])
    configured = {key: yaml.safe_load(value) for key, value in spec["flinkConfiguration"].items()}
    assert configured.items() <= composed.items()
