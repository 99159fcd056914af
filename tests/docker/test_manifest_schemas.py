"""docker/kubernetes.yaml is valid by the schemas of Kubernetes and of Flink's operator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker.test_kubernetes import RESOURCES, resource

pytestmark = pytest.mark.slow

KUBERNETES = "1.30"
OPERATOR = json.loads(Path(__file__).with_name("flink_deployment.json").read_text())


def check_kubernetes(one: dict[str, Any]) -> None:
    import kubernetes_validate  # installed by `make test-long` alone

    kubernetes_validate.validate(one, KUBERNETES, strict=True)


def check_operator(spec: dict[str, Any]) -> None:
    import jsonschema  # it comes with kubernetes_validate

    jsonschema.validate(spec, OPERATOR)


@pytest.mark.parametrize("one", RESOURCES, ids=lambda one: one["kind"])
def test_every_resource_is_what_its_schema_wants(one: dict[str, Any]) -> None:
    if one["kind"] == "FlinkDeployment":
        check_operator(one["spec"])
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}}
        check_kubernetes(pod | one["spec"]["taskManager"]["podTemplate"])
    else:
        check_kubernetes(one)


def mistyped_operator() -> None:
    check_operator({**resource("FlinkDeployment")["spec"], "flinkVersoin": "v1_19"})


def mistyped_kubernetes() -> None:
    check_kubernetes({**resource("Service"), "sepc": {}})


@pytest.mark.parametrize(("check", "field"), [(mistyped_operator, "flinkVersoin"), (mistyped_kubernetes, "sepc")])
def test_a_mistyped_field_is_found(check: Callable[[], None], field: str) -> None:
    with pytest.raises(Exception, match=field):
        check()
