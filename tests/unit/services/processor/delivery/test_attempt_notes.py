"""The note of an attempt is right, whenever the attempt is interrupted."""

import asyncio
from typing import Any

import pytest

from notification_api import Result, Task
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.messages.notification import Format
from services.common.messages.task_message import TaskMessage
from services.common.momento.history import NotificationHistory
from services.processor.cache_guard import CacheGuard
from services.processor.delivery.attempt_runner import AttemptRunner
from services.processor.delivery.attempts import Attempts
from services.processor.delivery.cancel_watch import CancelWatch
from services.processor.delivery.conclude import ConcludedMessages, Concluder
from services.processor.delivery.isolation import Isolation
from services.processor.delivery.process import DeliveryProcessor
from services.processor.delivery.retry_policy import RetryPolicies, RetryPolicy
from services.processor.delivery.task_lock import TaskLock
from services.processor.handlers.calls import Call
from services.processor.handlers.runner import Runner
from services.processor.handlers.task_types import TaskType
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.notifier import Notifier
from services.processor.notify.pending import PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.notify.status_writer import StatusWriter
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import LeaseLost, Requeue
from tests.support.clock import ManualClock
from tests.support.fakes.momento import FakeMomento
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.processor.in_process import Counted
from tests.support.waiting import wait_until

AT_ONCE = RetryPolicy(max_attempts=5, base_seconds=0, cap_seconds=0)


class SlowAnswers(FakeMomento):
    """A cache that stores immediately and answers late."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = asyncio.Event()

    async def set(self, key: str, value: bytes, **options: Any) -> None:
        await super().set(key, value, **options)
        await self.answering.wait()


async def test_an_attempt_that_is_interrupted_while_its_start_is_noted_has_an_end() -> None:
    momento = SlowAnswers()
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    message = received(body=task.body(), attributes=task.attributes(), receive_count=2)
    working = asyncio.create_task(deliveries(momento).process_message(Lease(message, ManualClock(), 1_000.0, 1_000.0)))
    await wait_until(lambda: starts(momento) == ["0 started"])
    working.cancel()
    momento.answering.set()
    await asyncio.wait({working})
    assert working.cancelled()
    assert list(momento.items.values()) == [b"0 ended"]


def starts(momento: FakeMomento) -> list[str]:
    """The notes without what they say of the process and the delivery."""
    return [" ".join(noted.decode().split()[:2]) for noted in momento.items.values()]


class Mute(FakeMomento):
    """A cache that works, and topics that never answer."""

    async def publish(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


async def test_a_finished_attempt_that_is_not_published_is_in_the_history() -> None:
    """Should the process die before it is published, the next delivery finds it, so the task is not isolated."""
    momento = Mute()
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    message = received(body=task.body(), attributes=task.attributes(), receive_count=2)
    working = asyncio.create_task(
        deliveries(momento, at_once).process_message(Lease(message, ManualClock(), 1_000.0, 1_000.0))
    )
    await wait_until(lambda: "1" in momento.dictionaries.get("history:user", {}))
    assert not working.done()
    working.cancel()
    await asyncio.wait({working})


@pytest.mark.parametrize(("failed", "delay_seconds"), [(0, 4), (1, 8), (3, 32)])
async def test_the_pause_grows_with_failed_attempts_and_not_with_interruptions(failed: int, delay_seconds: int) -> None:
    momento = FakeMomento()
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    message = received(body=task.body(), attributes=task.attributes(), receive_count=5)
    momento.items[f"attempts:{message.message_id}"] = f"{failed} ended".encode()
    policy = RetryPolicy(max_attempts=10, base_seconds=4, cap_seconds=900, uniform=lambda _, longest: longest)
    outcome = await deliveries(momento, fail, policy).process_message(Lease(message, ManualClock(), 1_000.0, 1_000.0))
    assert outcome == Requeue(delay_seconds, "unknown")


async def test_an_error_of_a_handler_whose_lease_is_lost_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = Counted("handler_errors_total", kind="unknown", type="default")
    task = TaskMessage(task_id="1", user_id="user", payload='{"data": "x"}')
    lease = Lease(received(body=task.body(), attributes=task.attributes()), ManualClock(), 1_000.0, 1_000.0)

    async def lose_lease_and_fail(_: Task) -> Result:
        lease.is_lost = True
        raise ValueError("after the lease was lost")

    assert await deliveries(FakeMomento(), lose_lease_and_fail).process(lease) == LeaseLost()
    (line,) = (record.__dict__ for record in caplog.records if record.getMessage() == "handler failed")
    assert "after the lease was lost" in line["exception"]
    assert errors() == 1


def deliveries(momento: FakeMomento, handle: Call | None = None, policy: RetryPolicy = AT_ONCE) -> DeliveryProcessor:
    gateway, pending, background = momento.as_momento(), PendingNotifications(), Lifecycle().background
    guard = CacheGuard()
    task_type = TaskType(
        name="default",
        call=handle or never,
        timeout_seconds=60,
        max_attempts=policy.max_attempts,
        backoff_base_seconds=policy.base_seconds,
        backoff_cap_seconds=policy.cap_seconds,
        concurrency=None,
    )
    history = ResilientHistory(NotificationHistory(gateway, 86_400), None, guard)
    breaker = CircuitBreaker(gateway, on_closed=lambda: None, stores=True)
    notifier = Notifier(
        gateway, history, pending, breaker, background, Format.TEXT, notify_seconds=1, progress_per_second=0
    )
    statuses = StatusWriter(None, guard, background, per_second=0)
    cancels = CancelWatch(None, lambda: True)
    concluder = Concluder(
        pending=pending,
        concluded=ConcludedMessages(),
        history=history,
        notifier=notifier,
        statuses=statuses,
        dead_letters=Batcher(FakeTaskQueue().send, BatchPolicy()),
        background=background,
    )
    attempts = Attempts(gateway, guard, background)
    policies = RetryPolicies({task_type.name: policy}, default=policy)
    return DeliveryProcessor(
        attempt_runner=AttemptRunner(
            runner=Runner(limit=1, on_limit=lambda: None),
            types={task_type.name: task_type},
            notifier=notifier,
            statuses=statuses,
            cancels=cancels,
            breaker=breaker,
            concluder=concluder,
            attempts=attempts,
            isolation=Isolation(),
            policies=policies,
            lease_margin_seconds=0,
        ),
        breaker=breaker,
        concluder=concluder,
        attempts=attempts,
        cancels=cancels,
        task_lock=TaskLock(None, guard, background, ttl_seconds=30),
        policies=policies,
        receive_wait_seconds=1,
    )


async def never(_task: Task) -> Result:
    await asyncio.Event().wait()
    return Result("")


async def at_once(_task: Task) -> Result:
    return Result("done")


async def fail(_task: Task) -> Result:
    raise ValueError("as asked")
