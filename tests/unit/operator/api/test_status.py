"""A Stage's status: the smallest patch is written, and transition times change with the status only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.api.client import Json, Kubernetes
from k8s.operator.api.stage import stage_object
from k8s.operator.api.status import ConditionType, StageStatus, merge_patch
from tests.support.fakes.kubernetes import merged_patch

_SCALARS = st.one_of(st.integers(), st.text(max_size=3), st.booleans())
_OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), _SCALARS, max_size=4),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), st.one_of(_SCALARS, inner), max_size=4),
    max_leaves=12,
)


@given(old=_OBJECTS, new=_OBJECTS)
def test_a_patch_turns_the_old_into_the_new(old: Json, new: Json) -> None:
    assert merged_patch(old, merge_patch(old, new)) == new


@given(same=_OBJECTS)
def test_equal_objects_need_no_patch(same: Json) -> None:
    assert merge_patch(same, same) == {}


class Recorder(Kubernetes):
    """Records patches instead of sending them."""

    def __init__(self) -> None:
        self.patches: list[Json] = []

    async def patch(self, path: str, body: Json) -> Json:
        self.patches.append(body)
        return body


def new_status(status: Json | None = None) -> StageStatus:
    metadata = {"namespace": "n", "name": "s", "uid": "u"}
    return StageStatus(stage_object({"metadata": metadata, "spec": {"stageName": "s"}, "status": status or {}}))


async def test_an_unchanged_status_is_written_once() -> None:
    status, kubernetes = new_status(), Recorder()
    for _ in range(3):
        status.set(ConditionType.READY, "Ready", "it is", status=True, generation=1)
        status.set_scaling(backlog=0)
        await status.flush(kubernetes)
    assert len(kubernetes.patches) == 1


async def test_a_restarted_operator_does_not_repeat_what_is_written() -> None:
    first, kubernetes = new_status(), Recorder()
    first.set(ConditionType.READY, "Ready", "it is", status=True, generation=1)
    await first.flush(kubernetes)
    second = new_status(kubernetes.patches[0]["status"])
    assert not second.set(ConditionType.READY, "Ready", "it is", status=True, generation=1)
    await second.flush(kubernetes)
    assert len(kubernetes.patches) == 1


async def test_a_figure_that_is_no_longer_known_is_removed() -> None:
    status, kubernetes = new_status(), Recorder()
    status.set_scaling(backlog=3, wait="1.0s")
    await status.flush(kubernetes)
    status.set_scaling(wait=None)
    await status.flush(kubernetes)
    assert kubernetes.patches[1] == {"status": {"scaling": {"wait": None}}}


@pytest.mark.parametrize(
    ("status", "reason", "is_new"),
    [(True, "Ready", False), (True, "Other", True), (False, "Ready", True)],
)
def test_a_change_of_status_or_reason_is_reported(*, status: bool, reason: str, is_new: bool) -> None:
    stage_status = new_status()
    stage_status.set(ConditionType.READY, "Ready", "a", status=True, generation=1)
    assert stage_status.set(ConditionType.READY, reason, "b", status=status, generation=1) is is_new


def test_the_time_of_a_condition_is_that_of_its_last_change_of_status() -> None:
    old = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "a",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    stage_status = new_status({"conditions": [old]})
    stage_status.set(ConditionType.READY, "Other", "b", status=True, generation=2)
    condition = stage_status.condition(ConditionType.READY)
    assert condition is not None
    assert condition.since == "2020-01-01T00:00:00Z"
    stage_status.set(ConditionType.READY, "Other", "b", status=False, generation=2)
    condition = stage_status.condition(ConditionType.READY)
    assert condition is not None
    assert condition.since != "2020-01-01T00:00:00Z"
