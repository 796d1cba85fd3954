"""SQS's own redrive must leave the processor time to dead-letter a task itself; otherwise a warning is logged."""

import json
import logging

import pytest

from services.processor.receiver.redrive_policy import warn_if_too_low


def warnings(caplog: pytest.LogCaptureFixture, policy: str | None, max_attempts: int) -> list[str]:
    caplog.set_level(logging.DEBUG)
    warn_if_too_low({} if policy is None else {"RedrivePolicy": policy}, max_attempts)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("most", [3, "3"])
@pytest.mark.parametrize("max_attempts", [3, 5, 100])
def test_a_queue_that_moves_tasks_first_is_warned_of(
    most: object, max_attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = warnings(caplog, json.dumps({"maxReceiveCount": most}), max_attempts)
    assert "after 3 receives" in line
    assert f"MAX_ATTEMPTS={max_attempts}" in line


@pytest.mark.parametrize(
    "policy",
    [None, "", "no JSON", "7", "{}", '{"maxReceiveCount": "many"}', '{"maxReceiveCount": null}'],
)
def test_a_queue_that_never_moves_tasks_is_not(policy: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(caplog, policy, 100) == []


def test_one_receive_more_than_attempts_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(caplog, '{"maxReceiveCount": 6}', 5) == []
