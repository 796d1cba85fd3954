"""The health loop restores the ConfigMap with the outputs."""

from k8s.operator.api.outputs_configmap import FIRST_ANNOTATION, checksum
from tests.support.operator.health_loop import HealthLoopHarness

OUTPUTS = {"TASK_QUEUE_URL": "http://sqs/tasks"}


async def test_deleted_outputs_are_written_in_the_next_run() -> None:
    stage = HealthLoopHarness()
    stage.outputs = OUTPUTS
    del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
    await stage.run_once()
    del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
    await stage.run_once()
    assert stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]["data"] == OUTPUTS


async def test_deleted_outputs_do_not_roll_pods() -> None:
    stage = HealthLoopHarness()
    stage.outputs, path = OUTPUTS, "/api/v1/namespaces/n/configmaps/dev-outputs"
    del stage.kubernetes.objects[path]
    for name in stage.release.pods:
        del stage.kubernetes.objects[f"/api/v1/namespaces/n/pods/{name}"]
    await stage.run_once()
    first = stage.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION]
    stage.first_checksum = first  # as the reconciler reads it
    for name, pod in stage.release.pods.items():
        stage.kubernetes.put(f"/api/v1/namespaces/n/pods/{name}", pod)
    await stage.run_once()
    del stage.kubernetes.objects[path]
    await stage.run_once()
    assert stage.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION] == first == checksum(OUTPUTS)


async def test_outputs_changed_by_hand_are_changed_back() -> None:
    stage = HealthLoopHarness()
    stage.outputs = OUTPUTS
    path = "/api/v1/namespaces/n/configmaps/dev-outputs"
    del stage.kubernetes.objects[path]
    await stage.run_once()
    stage.kubernetes.objects[path]["data"] = {"TASK_QUEUE_URL": "http://elsewhere", "MORE": "x"}
    await stage.run_once()
    assert stage.kubernetes.objects[path]["data"] == OUTPUTS
    assert stage.kubernetes.events().count("Changed") == 2


async def test_correct_outputs_are_not_written() -> None:
    stage = HealthLoopHarness()
    stage.outputs = OUTPUTS
    del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
    await stage.run_once()
    stage.kubernetes.calls.reset()
    await stage.run_once()
    assert [call for call in stage.kubernetes.calls.made if "configmaps/" in call] == []


async def test_outputs_of_another_owner_are_not_changed() -> None:
    stage = HealthLoopHarness()
    stage.outputs = OUTPUTS
    await stage.provisioned()
    await stage.run_once()
    assert stage.states() == (True, False, "NoProblem")
    assert "data" not in stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
