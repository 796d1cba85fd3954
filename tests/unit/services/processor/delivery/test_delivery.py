"""A delivery: when its task has expired."""

import pytest

from services.common.messages.task_message import TaskMessage
from services.processor.delivery.attempts import NO_ATTEMPTS, LastAttempt, PastAttempts
from services.processor.delivery.delivery import Delivery
from services.processor.receiver.lease import Lease
from tests.support.clock import ManualClock
from tests.support.fakes.task_queue import received

EXPIRES_MS = 1_800_000_000_000


def delivery(receive_count: int, past: PastAttempts = NO_ATTEMPTS, expires_at_ms: int | None = EXPIRES_MS) -> Delivery:
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}', expires_at_ms=expires_at_ms)
    message = received(body=task.body(), attributes=task.attributes(), receive_count=receive_count)
    return Delivery.parse(Lease(message, ManualClock(), 1_000.0, 1_000.0)).with_past(past)


@pytest.mark.parametrize(
    ("receive_count", "past", "expires"),
    [
        pytest.param(1, NO_ATTEMPTS, True, id="first delivery"),
        pytest.param(2, PastAttempts(0, LastAttempt.UNKNOWN), False, id="nothing is known"),
        pytest.param(5, PastAttempts(0, LastAttempt.ENDED, is_unstarted=True), True, id="released before its start"),
        pytest.param(2, PastAttempts(0, LastAttempt.ENDED), False, id="interrupted"),
        pytest.param(2, PastAttempts(1, LastAttempt.ENDED), False, id="failed"),
        pytest.param(2, PastAttempts(0, LastAttempt.STARTED), False, id="its process may have died"),
        pytest.param(2, PastAttempts(1, LastAttempt.UNAVAILABLE), False, id="the cache cannot be read"),
    ],
)
def test_a_task_expires_unless_an_attempt_may_have_started(
    receive_count: int, past: PastAttempts, *, expires: bool
) -> None:
    assert delivery(receive_count, past).is_expired(EXPIRES_MS) == expires
    assert not delivery(receive_count, past).is_expired(EXPIRES_MS - 1)
    assert not delivery(receive_count, past, expires_at_ms=None).is_expired(EXPIRES_MS)
