"""The cached parameter, against a small fake of the SSM client."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from prometheus_client import REGISTRY

from notification_api import PermanentError
from services.common.aws import ssm_parameter as parameter_module
from services.common.aws.ssm_parameter import ParameterUnavailable, SsmParameter
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from types_aiobotocore_ssm.client import SSMClient

NAME = "/notification-api/test/momento-api-key"
SECRET = "s3cr3t-value"


class FakeSsm:
    """Answers with `stored`, or raises `error`; waits at `gate` when there is one."""

    def __init__(self) -> None:
        self.stored: Any = SECRET
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.calls: list[dict[str, Any]] = []

    async def get_parameter(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        self.asked.set()
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return {"Parameter": {"Name": NAME, "Type": "SecureString", "Value": self.stored}}


@pytest.fixture
def ssm() -> FakeSsm:
    return FakeSsm()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def parameter(ssm: FakeSsm, clock: ManualClock) -> SsmParameter:
    return SsmParameter(cast("SSMClient", ssm), NAME, clock=clock, sleep=clock.sleep)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"no {SECRET}"}}, "GetParameter")


async def test_the_value_is_loaded_decrypted_at_start(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    async with running(parameter.run()):
        await clock.wait_for_sleep(1)
        assert parameter.value() == SECRET
        assert parameter.readiness_problem() is None
    assert ssm.calls == [{"Name": NAME, "WithDecryption": True}]


def test_before_it_was_read_there_is_no_value_and_no_readiness(parameter: SsmParameter) -> None:
    with pytest.raises(ParameterUnavailable, match=NAME):
        parameter.value()
    assert parameter.readiness_problem() == f"The parameter {NAME} cannot be read: it has not been read yet."


async def test_the_value_is_read_again_about_every_five_minutes(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    async with running(parameter.run()):
        assert 270 <= await clock.wait_for_sleep(1) <= 330
        ssm.stored = "rotated"
        clock.advance(330)
        await clock.wait_for_sleep(2)
        assert parameter.value() == "rotated"
    assert len(ssm.calls) == 2


async def test_loading_is_retried_with_growing_pauses_until_it_works(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    ssm.error = failure("ParameterNotFound")
    async with running(parameter.run()):
        for number in range(1, 12):
            clock.advance(await clock.wait_for_sleep(number))
        assert clock.sleeps[0] <= 0.25
        assert 2.5 <= clock.sleeps[10] <= 5
        assert "ParameterNotFound" in str(parameter.readiness_problem())
        ssm.error = None
        clock.advance(await clock.wait_for_sleep(12))
        assert await clock.wait_for_sleep(13) >= 270
    assert parameter.value() == SECRET


@pytest.mark.parametrize(
    "error", [failure("InternalServerError"), failure("ParameterNotFound"), OSError("reset")], ids=str
)
async def test_the_stale_value_is_served_while_ssm_fails(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock, error: Exception
) -> None:
    async with running(parameter.run()):
        await clock.wait_for_sleep(1)
        ssm.error = error
        clock.advance(330)
        assert await clock.wait_for_sleep(2) <= 0.25
        assert parameter.value() == SECRET
        assert parameter.readiness_problem() is None


@pytest.mark.parametrize("stored", ["", " ", "\n\t"])
async def test_an_empty_value_never_replaces_a_good_one(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock, stored: str
) -> None:
    assert await parameter.refresh_now()
    ssm.stored = stored
    clock.advance(10)
    assert not await parameter.refresh_now()
    assert parameter.value() == SECRET


async def test_an_empty_value_is_named_as_the_cause(parameter: SsmParameter, ssm: FakeSsm) -> None:
    ssm.stored = ""
    await parameter.refresh_now()
    assert "it is empty" in str(parameter.readiness_problem())


async def test_white_space_around_the_value_is_dropped(parameter: SsmParameter, ssm: FakeSsm) -> None:
    ssm.stored = f" {SECRET}\n"
    await parameter.refresh_now()
    assert parameter.value() == SECRET


async def test_a_forced_refresh_returns_whether_the_value_changed(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    await parameter.refresh_now()
    clock.advance(10)
    assert not await parameter.refresh_now()
    ssm.stored = "rotated"
    clock.advance(10)
    assert await parameter.refresh_now()
    assert parameter.value() == "rotated"


async def test_forced_refreshes_read_once_in_five_seconds(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    await parameter.refresh_now()
    ssm.stored = "rotated"
    clock.advance(4.9)
    assert not await parameter.refresh_now()
    assert len(ssm.calls) == 1
    clock.advance(0.1)
    assert await parameter.refresh_now()


async def test_a_forced_refresh_that_failed_counts_as_well(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    ssm.error = failure("ThrottlingException")
    for _ in range(20):
        assert not await parameter.refresh_now()
    assert len(ssm.calls) == 1


async def test_concurrent_forced_refreshes_share_one_reading_and_its_outcome(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    await parameter.refresh_now()
    clock.advance(10)
    ssm.gate, ssm.stored = asyncio.Event(), "rotated"
    ssm.asked.clear()
    callers = [asyncio.create_task(parameter.refresh_now()) for _ in range(20)]
    await ssm.asked.wait()
    assert parameter.value() == SECRET
    ssm.gate.set()
    assert await asyncio.gather(*callers) == [True] * 20
    assert len(ssm.calls) == 2


async def test_a_forced_refresh_does_not_rely_on_a_reading_that_began_before_it(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    ssm.gate = asyncio.Event()
    async with running(parameter.run()):
        await ssm.asked.wait()
        forced = asyncio.create_task(parameter.refresh_now())
        await asyncio.sleep(0)
        ssm.gate.set()
        await forced
    assert len(ssm.calls) == 2


async def test_a_reading_that_hangs_ends_at_its_deadline(
    parameter: SsmParameter, ssm: FakeSsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameter_module, "DEADLINE_SECONDS", 0.02)
    ssm.gate = asyncio.Event()
    assert not await parameter.refresh_now()
    assert "did not respond in time" in str(parameter.readiness_problem())


async def test_a_cancelled_reading_leaves_no_lock_behind(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock
) -> None:
    ssm.gate = asyncio.Event()
    caller = asyncio.create_task(parameter.refresh_now())
    await ssm.asked.wait()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    ssm.gate = None
    clock.advance(10)
    assert await parameter.refresh_now()


@pytest.mark.parametrize("answer", [{}, {"Parameter": {}}, {"Parameter": []}, [], None, {"Parameter": {"Value": 5}}])
async def test_a_response_without_a_value_is_not_an_empty_value(
    parameter: SsmParameter, ssm: FakeSsm, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    async def strange(**_: Any) -> Any:
        return answer

    monkeypatch.setattr(ssm, "get_parameter", strange)
    assert not await parameter.refresh_now()
    assert "the response is not valid" in str(parameter.readiness_problem())
    assert "empty" not in str(parameter.readiness_problem())


async def test_a_bug_is_not_treated_as_an_outage(parameter: SsmParameter, ssm: FakeSsm) -> None:
    ssm.error = AssertionError("a bug")
    with pytest.raises(AssertionError):
        await parameter.refresh_now()


def only_secrets(value: str) -> None:
    if not value.startswith("s3cr3t"):
        raise PermanentError("It is no secret: create a new key.")


@pytest.fixture
def checked(ssm: FakeSsm, clock: ManualClock) -> SsmParameter:
    return SsmParameter(cast("SSMClient", ssm), NAME, check=only_secrets, clock=clock, sleep=clock.sleep)


def reads(outcome: str) -> float:
    return REGISTRY.get_sample_value("notification_api_parameter_reads_total", {"outcome": outcome}) or 0.0


async def test_a_value_that_cannot_be_used_never_replaces_a_good_one_and_is_read_again_soon(
    checked: SsmParameter, ssm: FakeSsm, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    unusable = reads("unusable")
    async with running(checked.run()):
        await clock.wait_for_sleep(1)
        ssm.stored = "a typing error"
        clock.advance(330)
        assert await clock.wait_for_sleep(2) <= 0.25
        assert (checked.value(), checked.readiness_problem()) == (SECRET, None)
        assert "its value cannot be used (It is no secret: create a new key)" in caplog.records[-1].__dict__["error"]
        assert reads("unusable") == unusable + 1
        ssm.stored = "s3cr3t-corrected"
        clock.advance(1)
        assert await clock.wait_for_sleep(3) >= 270
        assert checked.value() == "s3cr3t-corrected"


async def test_a_first_value_that_cannot_be_used_is_a_transient_failure_that_names_the_parameter(
    checked: SsmParameter, ssm: FakeSsm
) -> None:
    ssm.stored = "a typing error"
    assert not await checked.refresh_now()
    with pytest.raises(ParameterUnavailable, match=f"{NAME} cannot be read: its value cannot be used") as caught:
        checked.value()
    assert "typing error" not in f"{caught.value}{checked.readiness_problem()}"


async def test_the_value_is_shown_nowhere(
    parameter: SsmParameter, ssm: FakeSsm, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await parameter.refresh_now()
        ssm.error = failure("AccessDeniedException")
        clock.advance(10)
        await parameter.refresh_now()
    assert len(caplog.records) == 2
    assert all(record.__dict__["parameter"] == NAME for record in caplog.records)
    shown = repr(parameter) + str(parameter) + "".join(str(record.__dict__) for record in caplog.records)
    assert SECRET not in shown
    assert NAME in repr(parameter)
