"""The reasons of decisions are documented."""

from pathlib import Path

import pytest

from k8s.operator.policy.types import ScalingReason

PAGE = Path(__file__).resolve().parents[4] / "docs/explanation/scaling.md"


@pytest.mark.parametrize("reason", ScalingReason)
def test_every_reason_is_documented(reason: ScalingReason) -> None:
    assert f"`{reason.value}`" in PAGE.read_text()


@pytest.mark.parametrize("reason", ["ScaledOut", "ScaledIn", "CannotScale", "NoProcessor", "ExternalScaling"])
def test_other_reasons_of_events_and_the_condition_are_documented(reason: str) -> None:
    assert f"`{reason}`" in PAGE.read_text()
