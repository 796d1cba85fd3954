"""Hostile errors and results of handlers: each is still counted, explained, dead-lettered and notified."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from notification_api import PermanentError, Result, Task, TransientError
from services.common.aws.task_queue import ReceivedMessage
from services.processor.delivery import delivery
from services.processor.delivery.attempts import Attempts, LastAttempt, PastAttempts
from services.processor.delivery.conclude import Concluder
from services.processor.delivery.process import DeliveryProcessor
from services.processor.delivery.retry_policy import RetryPolicy
from services.processor.delivery.task_lock import TaskLock
from services.processor.notify.status_writer import StatusWriter
from tests.support.processes.service import processor_process
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage


def fail(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("hostile")


class StrRaises(Exception):
    __str__ = fail


class StrAndReprRaise(StrRaises):
    __repr__ = fail


class StrExits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class StrCancels(Exception):
    def __str__(self) -> str:
        raise asyncio.CancelledError


class StrIsNone(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


class PermanentStrRaises(PermanentError):
    __str__ = fail


class PermanentStrIsNone(PermanentError):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


class TransientStrRaises(TransientError):
    __str__ = fail


class ArgsRaise(Exception):
    args = property(fail)


class ClassRaises(Exception):
    __class__ = property(fail)


class ClaimsToBePermanent(Exception):
    __class__ = property(lambda _: PermanentError)


class AttributesRaise(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hostile")


class CannotBeSet(Exception):
    __setattr__ = fail


@dataclass(frozen=True)
class PermanentFrozen(PermanentError):
    code: int = 1


class PermanentExitsWhenSet(PermanentError):
    def __setattr__(self, _name: str, _value: object) -> None:
        raise SystemExit(5)


class Falsy(Exception):
    __bool__ = __len__ = __eq__ = fail
    __hash__ = fail


class GroupHides(ExceptionGroup[Exception]):
    exceptions = property(fail)


class NamelessType(type):
    __name__ = property(fail)


class Nameless(Exception, metaclass=NamelessType):
    pass


class HostileMessage(str):
    __slots__ = ()
    __getitem__ = __bool__ = __len__ = __format__ = __str__ = encode = fail


class StrIsHostile(Exception):
    def __str__(self) -> str:
        return HostileMessage("hostile text")


class ExitingMessage(str):
    __slots__ = ()

    def __format__(self, _: str) -> str:
        raise SystemExit(4)


class StrExitsLater(Exception):
    def __str__(self) -> str:
        return ExitingMessage("exits when it is formatted")


class HostileNameType(type):
    __name__ = property(lambda _: HostileMessage("Hostile"))


class HostileName(Exception, metaclass=HostileNameType):
    pass


class FalsyExit(SystemExit):
    __bool__ = __len__ = fail


class FailsAndExits(RuntimeError, SystemExit):
    pass


class PermanentAndCancels(PermanentError, asyncio.CancelledError):
    pass


class Unending(Exception):
    """Its cause is itself."""

    def __init__(self) -> None:
        self.__cause__ = self


def nested(depth: int) -> Exception:
    error: Exception = PermanentError("innermost")
    for _ in range(depth):
        error = ExceptionGroup("nested", [error])
    return error


ORDINARY = [
    *(StrRaises(), StrAndReprRaise(), StrExits(), StrCancels(), StrIsNone(), TransientStrRaises(), ArgsRaise()),
    *(ClassRaises(), ClaimsToBePermanent(), AttributesRaise(), CannotBeSet(), Falsy(), Nameless(), Unending()),
    *(StrIsHostile(), StrExitsLater(), HostileName(), FalsyExit(), FailsAndExits()),
    ValueError("x" * 20_000_000),
    ValueError("\ud800\x00\n\x1b[31m"),
    type("Näme\n", (Exception,), {})(),
    ExceptionGroup("group", [StrRaises(), ValueError()]),
    BaseExceptionGroup("group", [SystemExit(StrRaises())]),
    SystemExit(StrRaises()),
]
PERMANENT = [
    *(PermanentStrRaises(), PermanentStrIsNone(), PermanentError("x" * 20_000_000)),
    ExceptionGroup("group", [ValueError(), PermanentError("one of two")]),
    ExceptionGroup("group", [ValueError(), PermanentStrRaises()]),
    GroupHides("group", [PermanentError("hidden")]),
    BaseExceptionGroup("group", [SystemExit(), PermanentError("beside an exit")]),
    *(nested(50), PermanentAndCancels(), PermanentFrozen(), PermanentExitsWhenSet()),
]


@asynccontextmanager
async def nothing_blocks(limit_seconds: float = 0.5) -> AsyncIterator[None]:
    """Fail if the event loop is blocked for longer during the block."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.wait({ticking})
    assert longest < limit_seconds


def isolate_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every task isolated, as if no end of an earlier attempt were known."""
    read = Attempts.read

    async def without_end(attempts: Attempts, message: ReceivedMessage) -> PastAttempts:
        return replace(await read(attempts, message), last=LastAttempt.STARTED)

    monkeypatch.setattr(Attempts, "read", without_end)
    monkeypatch.setattr(RetryPolicy, "needs_isolation", lambda *_: True)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("isolated", [False, True])
async def test_whatever_a_handler_raises_is_counted_dead_lettered_and_notified(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    if isolated:
        isolate_all(monkeypatch)
    errors: dict[str, BaseException] = dict(enumerate_text([*ORDINARY, *PERMANENT]))
    runs: list[str] = []

    async def raise_it(task: Task) -> str:
        runs.append(task.data)
        raise errors[task.data]

    ran = Counted("isolations_total", outcome="ran")
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, raise_it, MAX_ATTEMPTS="2"),
        nothing_blocks(),
    ):
        ids = {await stage.send("user", data): data for data in errors}
        await notifications.wait(len(errors), seconds=60)
        await stage.until_empty()
    assert bool(ran()) == isolated
    letters = {letter["taskId"]: letter for letter in await stage.dead_letters(len(errors))}
    assert sorted(notifications.statuses()) == sorted((task_id, "failed") for task_id in ids)
    permanent = {str(number) for number in range(len(ORDINARY), len(errors))}
    for task_id, data in ids.items():
        is_permanent = data in permanent
        assert letters[task_id]["deadLetterReason"] == ("permanent" if is_permanent else "max_attempts"), errors[data]
        assert runs.count(data) == (1 if is_permanent else 2)
        assert 1 <= len(letters[task_id]["deadLetterDetail"]) <= 256


def enumerate_text(errors: list[Any]) -> list[tuple[str, BaseException]]:
    return [(str(number), error) for number, error in enumerate(errors)]


class HostileText(str):
    __slots__ = ()
    __str__ = __repr__ = __format__ = __getitem__ = __len__ = encode = fail


class ClaimsToBeText:
    __class__ = property(lambda _: str)


class ClassOfResultRaises:
    __class__ = property(fail)


RESULTS: list[tuple[Any, str | None]] = [
    (HostileText("as text"), "Finished task: as text"),
    ("x" * 500_000, None),
    ("\ud800", "Finished task: ?"),
    ("", "Finished task: "),
]
NO_RESULT: list[Any] = [
    *(None, 1, b"bytes", ClaimsToBeText(), ClassOfResultRaises(), ["text"], Ellipsis),
    *("x" * 20_000_000, Result("", ["x" * 20_000_000]), Result("", float("nan")), Result(None)),  # type: ignore[arg-type]
    *(Result("", ClassOfResultRaises()), Result("", {1: 2})),
]


async def test_whatever_a_handler_returns_there_is_a_notification(stage: ProcessorStage) -> None:
    results = [*(result for result, _ in RESULTS), *NO_RESULT]

    async def answer(task: Task) -> Any:
        return results[int(task.data)]

    async with stage.notifications("user") as notifications, processor_in_process(stage, answer), nothing_blocks():
        ids = [await stage.send("user", str(number)) for number in range(len(results))]
        await notifications.wait(len(results), seconds=30)
        await stage.until_empty()
    messages = {one["taskId"]: one["message"] for one in notifications.received}
    for task_id, (_, message) in zip(ids, RESULTS, strict=False):
        assert message is None or messages[task_id] == message
    assert messages[ids[1]].startswith("Finished task: xxx")
    failed = {task_id for task_id, status in notifications.statuses() if status == "failed"}
    assert failed == set(ids[len(RESULTS) :])


def plain(task: Task) -> str:
    raise StrRaises


async def test_a_plain_functions_errors_are_no_different(stage: ProcessorStage) -> None:
    async with stage.notifications("user") as notifications, processor_in_process(stage, plain, MAX_ATTEMPTS="1"):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
    (letter,) = await stage.dead_letters(1)
    assert notifications.statuses() == [(task_id, "failed")]
    assert letter["deadLetterDetail"] == "StrRaises: (its message cannot be read)"


async def test_the_log_explains_an_error_that_cannot_be_printed_and_stays_short(
    stage: ProcessorStage, tmp_path: Path
) -> None:
    handler = "tests.integration.processor.test_hostile_handlers:by_name"
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, TASK_HANDLER=handler, MAX_ATTEMPTS="1") as process,
    ):
        for name in ("StrRaises", "long", "StrAndReprRaise"):
            await stage.send("user", name)
        await notifications.wait(3)
        lines = process.logged(action="handle")
    assert len(lines) == 3
    exceptions = sorted(line["exception"] for line in lines)
    assert all("in by_name" in one and len(one) < 10_000 for one in exceptions)
    assert any("StrRaises: (its message cannot be read)" in one for one in exceptions)
    assert all(len(json.dumps(line)) < 12_000 for line in lines)


async def by_name(task: Task) -> str:
    if task.data == "long":
        raise ValueError("x" * 20_000_000)
    raise globals()[task.data]


@pytest.mark.parametrize(
    ("owner", "method", "reason"),
    [
        (Attempts, "read", "internal_error"),
        (TaskLock, "hold", "internal_error"),
        (Concluder, "find", "internal_error"),
        (Attempts, "note", "max_attempts"),  # at the end of an attempt that failed
        (StatusWriter, "running", "max_attempts"),  # as part of the attempt
    ],
)
async def test_an_error_of_the_processor_itself_counts_as_an_attempt_and_ends_in_the_dead_letter_queue(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, reason: str
) -> None:
    async def refuse(task: Task) -> str:
        raise ValueError("as asked")

    monkeypatch.setattr(owner, method, fail)
    internal = Counted("handler_errors_total", kind="internal_error")
    async with stage.notifications("user") as notifications, processor_in_process(stage, refuse, MAX_ATTEMPTS="3"):
        task_id = await stage.send("user", idempotent=True)
        await notifications.wait(1, seconds=30)
        await stage.until_empty()
    (letter,) = await stage.dead_letters(1)
    assert notifications.statuses() == [(task_id, "failed")]
    # Attempts that cannot be recorded do not count, for up to MAX_ATTEMPTS deliveries.
    assert (letter["deadLetterReason"], letter["deadLetterReceiveCount"]) == (reason, "6" if method == "note" else "3")
    # For a first delivery nothing is looked up, so its attempt is the handler's own failure.
    by_itself = 2 if method == "read" else 3
    assert internal() == (by_itself if reason == "internal_error" else 0)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (delivery, "parse_task"),
        (Concluder, "find_pending"),
        (Concluder, "conclude_failed"),
        (Concluder, "conclude_malformed"),
        (DeliveryProcessor, "process"),
    ],
)
async def test_an_error_of_the_processor_that_cannot_be_counted_where_it_happens_ends_there_too(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    async def refuse(task: Task) -> str:
        raise ValueError("as asked")

    monkeypatch.setattr(owner, name, fail)
    async with stage.notifications("user") as notifications, processor_in_process(stage, refuse, MAX_ATTEMPTS="3"):
        if name == "conclude_malformed":
            task_id = "no-task"
            await stage.send_raw("{}", {"taskId": task_id}, group_id="user")
        else:
            task_id = await stage.send("user")
        await notifications.wait(1, seconds=30)
        await stage.until_empty()
    (letter,) = await stage.dead_letters(1)
    assert notifications.statuses() == [(task_id, "failed")]
    assert (letter["deadLetterReason"], letter["deadLetterReceiveCount"]) == ("internal_error", "3")


async def test_an_error_after_a_handler_has_finished_does_not_run_it_again(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def handle(task: Task) -> str:
        runs.append(task.id)
        return "done"

    monkeypatch.setattr(Concluder, "conclude_finished", fail)
    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
    assert (runs, notifications.statuses()) == ([task_id], [(task_id, "finished")])
