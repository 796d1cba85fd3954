"""The health loop restores the ConfigMap with the outputs."""

from k8s.operator.api.outputs_configmap import FIRST_ANNOTATION, checksum
from tests.support.operator.health_loop import HealthLoopHarness

OUTPUTS = {"TASK_QUEUE_URL": "http://sqs/tasks"}


class TestOutputs:
    async def test_that_were_deleted_come_back_in_the_next_turn(self) -> None:
        stage = HealthLoopHarness()
        stage.outputs = OUTPUTS
        del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await stage.run_once()
        del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await stage.run_once()
        assert stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]["data"] == OUTPUTS

    async def test_that_were_deleted_roll_no_pods(self) -> None:
        stage = HealthLoopHarness()
        stage.outputs, path = OUTPUTS, "/api/v1/namespaces/n/configmaps/dev-outputs"
        del stage.kubernetes.objects[path]
        for name in stage.release.pods:
            del stage.kubernetes.objects[f"/api/v1/namespaces/n/pods/{name}"]
        await stage.run_once()
        first = stage.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION]
        for name, pod in stage.release.pods.items():
            stage.kubernetes.put(f"/api/v1/namespaces/n/pods/{name}", pod)
        await stage.run_once()
        del stage.kubernetes.objects[path]
        await stage.run_once()
        assert stage.kubernetes.objects[path]["metadata"]["annotations"][FIRST_ANNOTATION] == first == checksum(OUTPUTS)

    async def test_that_were_changed_by_hand_are_changed_back(self) -> None:
        stage = HealthLoopHarness()
        stage.outputs = OUTPUTS
        path = "/api/v1/namespaces/n/configmaps/dev-outputs"
        del stage.kubernetes.objects[path]
        await stage.run_once()
        stage.kubernetes.objects[path]["data"] = {"TASK_QUEUE_URL": "http://elsewhere", "MORE": "x"}
        await stage.run_once()
        assert stage.kubernetes.objects[path]["data"] == OUTPUTS
        assert stage.kubernetes.events().count("Changed") == 2

    async def test_that_are_right_are_not_written(self) -> None:
        stage = HealthLoopHarness()
        stage.outputs = OUTPUTS
        del stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
        await stage.run_once()
        stage.kubernetes.calls.forget()
        await stage.run_once()
        assert [call for call in stage.kubernetes.calls.made if "configmaps/" in call] == []

    async def test_of_somebody_else_are_left_to_the_pass_that_reports_them(self) -> None:
        stage = HealthLoopHarness()
        stage.outputs = OUTPUTS
        await stage.provisioned()
        await stage.run_once()
        assert stage.states() == (True, False, "NoProblem")
        assert "data" not in stage.kubernetes.objects["/api/v1/namespaces/n/configmaps/dev-outputs"]
