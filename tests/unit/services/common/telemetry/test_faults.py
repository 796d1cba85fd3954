"""What a service reports as wrong: not a call that is retried with success, and nothing that works again."""

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError

from notification_api import Result, Task
from services.common.aws import queue_errors
from services.common.aws.queue_errors import QueueUnavailable, call_error
from services.common.lifecycle import Lifecycle
from services.common.momento.errors import (
    MomentoCacheNotFound,
    MomentoKeyRefused,
    MomentoQuotaExceeded,
    MomentoUnavailable,
    fault_of,
)
from services.common.telemetry.faults import (
    FORGET_DENIED_SECONDS,
    FORGET_SECONDS,
    MIN_FAILING_SECONDS,
    CallFaults,
    Cause,
    Fault,
)
from services.common.web.operations import create_operations_app
from services.processor.handlers.runner import Runner
from tests.support.clock import ManualClock
from tests.support.processor.make_task import make_task
from tests.support.served_app import served_app

REFUSED = Fault(Cause.MOMENTO_KEY_REFUSED, "Momento refused the API key (parameter /a/b/momento-api-key)")
UNREACHABLE = Fault(Cause.MOMENTO_UNREACHABLE, "unreachable")
QUOTA = Fault(Cause.MOMENTO_QUOTA, "used up")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def faults(clock: ManualClock) -> CallFaults:
    return CallFaults(clock)


def test_a_call_that_fails_once_and_then_works_is_no_fault(faults: CallFaults, clock: ManualClock) -> None:
    faults.record_failure("get", REFUSED)
    assert faults.current() == []
    faults.record_success("get")
    clock.advance(MIN_FAILING_SECONDS)
    assert faults.current() == []


def test_a_call_that_keeps_failing_is_one_until_it_works(faults: CallFaults, clock: ManualClock) -> None:
    faults.record_failure("get", REFUSED)
    clock.advance(MIN_FAILING_SECONDS)
    assert faults.current() == [REFUSED]
    clock.advance(600)
    assert faults.current() == [REFUSED]
    faults.record_success("get")
    assert faults.current() == []


def test_a_failed_operation_that_is_not_called_again_expires_once_others_succeed(
    faults: CallFaults, clock: ManualClock
) -> None:
    faults.record_failure("vend", UNREACHABLE)
    clock.advance(MIN_FAILING_SECONDS)
    faults.record_success("get")
    assert faults.current() == [UNREACHABLE]
    clock.advance(FORGET_SECONDS)
    assert faults.current() == []


@pytest.mark.parametrize("cause", [Cause.MOMENTO_KEY_REFUSED, Cause.QUEUE_DENIED])
def test_an_operation_that_is_denied_stays_a_fault_while_others_are_permitted(
    cause: Cause, faults: CallFaults, clock: ManualClock
) -> None:
    """A user every 20 seconds is refused: the stage is not well in between."""
    denied = Fault(cause, "denied")
    for _ in range(5):
        faults.record_failure("send", denied)
        clock.advance(FORGET_SECONDS)
        faults.record_success("attributes")
        clock.advance(20 - FORGET_SECONDS)
        assert faults.current() == [denied]
    clock.advance(FORGET_DENIED_SECONDS)
    assert faults.current() == []


def test_what_was_denied_altogether_and_works_again_is_over_for_all_operations(
    faults: CallFaults, clock: ManualClock
) -> None:
    faults.record_failure("get", REFUSED)
    faults.record_failure("vend", REFUSED)
    clock.advance(MIN_FAILING_SECONDS)
    faults.record_success("get")
    clock.advance(FORGET_SECONDS)
    assert faults.current() == []


def test_a_quota_that_refuses_some_calls_is_a_fault_that_blocks_not_all(faults: CallFaults, clock: ManualClock) -> None:
    for _ in range(3):
        faults.record_failure("publish", QUOTA)
        clock.advance(MIN_FAILING_SECONDS)
        faults.record_success("publish")
    assert faults.current() == [Fault(Cause.MOMENTO_QUOTA, "used up", is_blocking=False)]
    clock.advance(FORGET_SECONDS)
    assert faults.current() == []


def test_one_cause_is_reported_once_and_as_the_worse(faults: CallFaults, clock: ManualClock) -> None:
    faults.record_failure("get", QUOTA)
    faults.record_success("get")
    faults.record_failure("publish", QUOTA)
    clock.advance(MIN_FAILING_SECONDS)
    assert faults.current() == [QUOTA]


@pytest.mark.parametrize(
    ("error", "cause", "part"),
    [
        (MomentoKeyRefused("vend"), Cause.MOMENTO_KEY_REFUSED, "(parameter /a/b/momento-api-key)"),
        (MomentoQuotaExceeded("vend"), Cause.MOMENTO_QUOTA, "quota"),
        (MomentoCacheNotFound("vend"), Cause.MOMENTO_CACHE_MISSING, "the Momento cache dev does not exist"),
        (MomentoUnavailable("vend: no answer"), Cause.MOMENTO_UNREACHABLE, "Momento is unreachable (vend: no answer)"),
    ],
)
def test_an_error_of_momento_names_its_cause(error: MomentoUnavailable, cause: Cause, part: str) -> None:
    fault = fault_of("vend", error, "/a/b/momento-api-key", "dev")
    assert fault.cause is cause
    assert part in fault.message


@pytest.mark.parametrize(
    ("code", "cause", "part"),
    [
        ("AccessDenied", Cause.QUEUE_DENIED, "denies the use of queue tasks"),
        ("InvalidClientTokenId", Cause.QUEUE_DENIED, "AWS refuses the credentials for queue tasks"),
        ("com.amazon.coral.service#ExpiredTokenException", Cause.QUEUE_DENIED, "AWS refuses the credentials"),
        ("SignatureDoesNotMatch", Cause.QUEUE_DENIED, "AWS refuses the credentials"),
        ("AWS.SimpleQueueService.NonExistentQueue", Cause.QUEUE_MISSING, "the queue tasks does not exist"),
        ("RequestThrottled", Cause.QUEUE_UNREACHABLE, "RequestThrottled"),
    ],
)
def test_an_error_of_sqs_names_its_cause(code: str, cause: Cause, part: str) -> None:
    answer: Any = {"Error": {"Code": code, "Message": "as asked"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = call_error("receive", ClientError(answer, "ReceiveMessage"))
    assert isinstance(error, QueueUnavailable)
    fault = queue_errors.fault_of(error, "tasks")
    assert fault.cause is cause
    assert part in fault.message


async def test_readyz_reports_faults_and_stays_ready() -> None:
    lifecycle = Lifecycle()
    lifecycle.add_faults(lambda: [REFUSED])
    lifecycle.mark_started()
    async with served_app(create_operations_app(lifecycle), lifecycle) as served:
        answer = await served.ask("GET", "/readyz")
    assert answer.status == 200
    assert answer.json["faults"] == [
        {"cause": "momento_key_refused", "message": REFUSED.message, "blocking": True},
    ]


async def test_three_tasks_that_fail_one_after_the_other_are_a_fault_until_one_finishes() -> None:
    fails = True

    async def handler(_task: Task) -> Result:
        if fails:
            raise ValueError("a user's secret")
        return Result("done")

    runner = Runner(limit=5, on_limit=lambda: None)
    for count in range(3):
        assert runner.faults() == [], count
        with pytest.raises(ValueError, match="secret"):
            await runner.run(make_task(), handler, 5)
    [fault] = runner.faults()
    assert (fault.cause, fault.message) == (Cause.TASKS_FAILING, "every task fails, the last with ValueError")
    fails = False
    await asyncio.wait_for(runner.run(make_task(), handler, 5), 5)
    assert runner.faults() == []
