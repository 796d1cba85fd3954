"""The operator's series carry the same `stage` as the services' do, so that rules and dashboards can join them."""

from prometheus_client import REGISTRY

from k8s.operator.api.stage import StageObject, StageRef
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.metrics import remove_stage_series


def release_named_otherwise() -> StageObject:
    return StageObject(StageRef("shop", "release", "uid"), {"metadata": {}, "spec": {"stageName": "dev"}})


def condition(stage: str) -> float | None:
    labels = {"namespace": "shop", "stage": stage, "condition": ConditionType.READY.value}
    return REGISTRY.get_sample_value("notification_api_operator_stage_condition", labels)


def test_series_go_by_the_stages_name_and_not_by_the_releases() -> None:
    stage = release_named_otherwise()
    StageStatus(stage).set(ConditionType.READY, "Ready", "it is", status=True, generation=1)
    try:
        assert condition("dev") == 1
        assert condition("release") is None
    finally:
        remove_stage_series(*stage.labels)
    assert condition("dev") is None
