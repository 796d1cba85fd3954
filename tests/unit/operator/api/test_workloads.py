"""Deployments and pods: which pods crash, which cannot start, and which only wait."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import Pod, read_pods, read_workloads
from tests.support.fakes.kubernetes import StubKubernetes, deployment, pod

STAGE = StageRef("n", "dev", "u")
IMAGE = "localhost/notification-api:9.9.9"


def ago(seconds: float) -> dict[str, str]:
    return {"finishedAt": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()}


async def read_pod(**changes: Any) -> Pod:
    kubernetes = StubKubernetes()
    kubernetes.pods = [pod("p", **changes)]
    (one,) = await read_pods(kubernetes, STAGE)
    return one


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
async def test_an_image_that_cannot_be_pulled_is_no_crash(reason: str) -> None:
    one = await read_pod(waiting=reason, image=IMAGE)
    assert (one.crashing, one.cannot_start) == (False, f"{reason} {IMAGE}")


async def test_a_restarted_container_whose_image_is_gone_cannot_start() -> None:
    one = await read_pod(waiting="ImagePullBackOff", image=IMAGE, restarts=5, last="terminated", ended=ago(5))
    assert (one.crashing, one.cannot_start) == (False, f"ImagePullBackOff {IMAGE}")


async def test_a_missing_config_map_is_named_and_no_crash() -> None:
    one = await read_pod(waiting="CreateContainerConfigError", message='configmap "x" not found')
    assert (one.crashing, one.cannot_start) == (False, 'CreateContainerConfigError configmap "x" not found')


@pytest.mark.parametrize(
    "reason", ["RegistryUnavailable", "SignatureValidationFailed", "PostStartHookError", "NewInK8s"]
)
async def test_any_other_reason_why_a_container_cannot_start_is_named(reason: str) -> None:
    one = await read_pod(waiting=reason, message="no answer")
    assert (one.crashing, one.cannot_start) == (False, f"{reason} no answer")


async def test_a_command_that_does_not_exist_is_no_crash() -> None:
    ended = {"reason": "StartError", "exitCode": 128, "message": "exec: no such file"}
    one = await read_pod(waiting="CrashLoopBackOff", restarts=4, last="terminated", ended=ended)
    assert (one.crashing, one.cannot_start) == (False, "StartError exec: no such file")


@pytest.mark.parametrize("reason", ["CrashLoopBackOff", "ErrImagePull"])
async def test_an_init_container_is_no_crash(reason: str) -> None:
    one = await read_pod(waiting="PodInitializing", init=reason)
    assert not one.crashing
    assert one.cannot_start == f"init container init: {reason}"


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
async def test_a_pod_that_waits_to_be_started_has_no_fault(reason: str) -> None:
    one = await read_pod(waiting=reason)
    assert (one.crashing, one.cannot_start) == (False, "")


async def test_a_pod_without_a_node_has_no_fault() -> None:
    kubernetes = StubKubernetes()
    body = pod("p", ready=False)
    body["status"] = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}
    kubernetes.pods = [body]
    (one,) = await read_pods(kubernetes, STAGE)
    assert (one.crashing, one.cannot_start) == (False, "")


@pytest.mark.parametrize("ended", [{"exitCode": 0}, {"exitCode": 137, "reason": "OOMKilled"}, {"exitCode": 1}])
async def test_every_kind_of_repeated_end_is_a_crash(ended: dict[str, Any]) -> None:
    ended = {**ended, **ago(20)}
    assert (await read_pod(waiting="CrashLoopBackOff", restarts=1, last="terminated", ended=ended)).crashing
    assert (await read_pod(ready=False, restarts=3, last="terminated", ended=ended)).crashing


async def test_a_changed_image_that_cannot_be_pulled_is_no_crash() -> None:
    one = await read_pod(waiting="CrashLoopBackOff", restarts=0, last="terminated", ended={"exitCode": 0, **ago(20)})
    assert not one.crashing
    assert one.cannot_start.startswith("ImagePullBackOff")


async def test_a_container_that_crashed_once_and_runs_again_does_not_count() -> None:
    assert not (await read_pod(ready=False, restarts=1, last="terminated", ended=ago(5))).crashing


async def test_crashes_of_long_ago_do_not_count() -> None:
    assert not (await read_pod(ready=False, restarts=30, last="terminated", ended=ago(3_600))).crashing


async def test_a_ready_pod_does_not_crash() -> None:
    assert not (await read_pod(restarts=30, last="terminated", ended=ago(5))).crashing


@pytest.mark.parametrize(
    ("strategy", "surge"),
    [
        ({}, "25%"),
        ({"rollingUpdate": {"maxSurge": 1}}, "1"),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%"}}, "50%"),
        ({"type": "Recreate"}, "0"),
    ],
)
async def test_the_surge_of_a_rollout_is_read(strategy: dict[str, Any], surge: str) -> None:
    kubernetes = StubKubernetes()
    body = deployment("processor")
    body["spec"]["strategy"] = strategy
    kubernetes.deployments = [body]
    assert (await read_workloads(kubernetes, STAGE))["processor"].max_surge == surge


@pytest.mark.parametrize(("updated", "expected"), [(0, False), (1, True)])
async def test_a_deployment_shows_whether_it_has_pods_of_the_newest_revision(updated: int, expected: bool) -> None:
    kubernetes = StubKubernetes()
    body = deployment("processor", 2)
    body["status"]["updatedReplicas"] = updated
    kubernetes.deployments = [body]
    assert (await read_workloads(kubernetes, STAGE))["processor"].has_current_pods is expected
