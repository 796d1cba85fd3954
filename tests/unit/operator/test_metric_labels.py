"""The operator's series have the same `stage` label as the services' series, so that they can be joined."""

from prometheus_client import REGISTRY

from k8s.operator.api.stage import StageObject, StageRef
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.metrics import remove_stage_series


def stage_with_another_release_name() -> StageObject:
    return StageObject(StageRef("shop", "release", "uid"), {"metadata": {}, "spec": {"stageName": "dev"}})


def condition(stage: str) -> float | None:
    labels = {"namespace": "shop", "stage": stage, "condition": ConditionType.READY.value}
    return REGISTRY.get_sample_value("notification_api_operator_stage_condition", labels)


def test_the_stage_label_is_the_stage_name_and_not_the_release() -> None:
    stage = stage_with_another_release_name()
    StageStatus(stage).set(ConditionType.READY, "Ready", "it is", status=True, generation=1)
    try:
        assert condition("dev") == 1
        assert condition("release") is None
    finally:
        remove_stage_series(*stage.labels)
    assert condition("dev") is None
