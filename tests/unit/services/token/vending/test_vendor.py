"""Vending: cached until half its life, once for concurrent callers, and an error is an error for now."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from services.common.background import Background
from services.common.momento.errors import MomentoQuotaExceeded, MomentoRefused, MomentoUnavailable
from services.common.momento.gateway import DisposableToken
from services.token.vending import vendor
from services.token.vending.shared_tokens import SharedTokens
from services.token.vending.vending_queue import VendingQueue, VendingQuotaExceeded
from services.token.vending.vendor import TokenVendor
from tests.support.clock import ManualClock
from tests.support.fakes.momento import FakeMomento
from tests.support.waiting import wait_until

NOW = 1_800_000_000.0
VALID_SECONDS = 1_800


class VendorHarness:
    """Momento, a clock, and any number of replicas."""

    def __init__(self) -> None:
        self.momento = FakeMomento(now=NOW)
        self.clock = ManualClock(NOW)
        self.stopped = 0
        self.background = Background(self._stop)
        self.vendor = self.replica()

    def _stop(self) -> None:
        self.stopped += 1

    def replica(self, wait_seconds: float = 10.0, per_second: float = 1e6) -> TokenVendor:
        return TokenVendor(
            self.momento.as_momento(),
            SharedTokens(self.momento.as_momento()),
            VendingQueue(per_second, wait_seconds),
            self.background,
            valid_seconds=VALID_SECONDS,
            clock=self.clock,
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.momento.now += seconds


@pytest.fixture
async def harness() -> AsyncIterator[VendorHarness]:
    harness = VendorHarness()
    yield harness
    await harness.background.close()


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"notification_api_tokens_{name}_total", labels) or 0.0


async def test_a_token_is_vended_for_the_users_own_topic(harness: VendorHarness) -> None:
    before = count("vended")
    token = await harness.vendor.token_for("alice")
    assert token == DisposableToken("token 1", "momento.example", int(NOW) + VALID_SECONDS)
    assert harness.momento.vended == [("alice", VALID_SECONDS, "alice")]
    assert count("vended") == before + 1


async def test_it_is_answered_from_memory_until_half_its_life_is_over(harness: VendorHarness) -> None:
    first = await harness.vendor.token_for("alice")
    before = count("cached", where="memory")
    harness.pass_time(VALID_SECONDS / 2 - 1)
    assert await harness.vendor.token_for("alice") == first
    assert count("cached", where="memory") == before + 1
    harness.pass_time(1)
    assert await harness.vendor.token_for("alice") != first
    assert len(harness.momento.vended) == 2


async def test_users_have_tokens_of_their_own(harness: VendorHarness) -> None:
    assert await harness.vendor.token_for("alice") != await harness.vendor.token_for("bob")


async def test_concurrent_callers_share_one_vending(harness: VendorHarness) -> None:
    tokens = await asyncio.gather(*(harness.vendor.token_for("alice") for _ in range(50)))
    assert len(set(tokens)) == 1
    assert len(harness.momento.vended) == 1


async def test_a_caller_that_gives_up_leaves_the_others_their_token(harness: VendorHarness) -> None:
    callers = [asyncio.create_task(harness.vendor.token_for("alice")) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    first, *others = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert others[0] == others[1] == DisposableToken("token 1", "momento.example", int(NOW) + VALID_SECONDS)


async def test_when_all_callers_give_up_the_token_is_kept_for_the_next(harness: VendorHarness) -> None:
    caller = asyncio.create_task(harness.vendor.token_for("alice"))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await harness.vendor.token_for("alice")
    assert len(harness.momento.vended) == 1


async def test_another_replica_costs_no_vending(harness: VendorHarness) -> None:
    first = await harness.vendor.token_for("alice")
    before = count("cached", where="shared")
    assert await harness.replica().token_for("alice") == first
    assert len(harness.momento.vended) == 1
    assert count("cached", where="shared") == before + 1


async def test_a_shared_token_past_half_its_life_is_not_used(harness: VendorHarness) -> None:
    first = await harness.vendor.token_for("alice")
    harness.pass_time(VALID_SECONDS / 2)
    assert "token:alice" in harness.momento.items
    assert await harness.replica().token_for("alice") != first


async def test_a_token_is_shared_for_as_long_as_it_is_used(harness: VendorHarness) -> None:
    await harness.vendor.token_for("alice")
    assert harness.momento.ttls["token:alice"] == VALID_SECONDS / 2


async def test_an_error_is_every_callers_and_is_not_kept(
    harness: VendorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "VEND_SECONDS", 0.2)
    before = count("refused", reason="momento")
    harness.momento.error = MomentoUnavailable("down")
    outcomes = await asyncio.gather(*(harness.vendor.token_for("alice") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, MomentoUnavailable) for outcome in outcomes)
    assert count("refused", reason="momento") == before + 1
    harness.momento.error = None
    assert (await harness.vendor.token_for("alice")).auth_token == "token 1"
    assert harness.stopped == 0


async def test_every_attempt_takes_a_turn_and_the_user_keeps_the_place(harness: VendorHarness) -> None:
    replica = harness.replica(per_second=5.0)
    harness.momento.error = MomentoQuotaExceeded("not now")
    started = time.monotonic()
    asking = asyncio.create_task(replica.token_for("alice"))
    await wait_until(lambda: harness.momento.calls.count("vend") == 3)
    took = time.monotonic() - started
    harness.momento.error = None
    assert (await asking).auth_token == "token 1"
    assert took >= 0.4 * 0.99


async def test_a_permanent_refusal_is_counted_too(harness: VendorHarness) -> None:
    before = count("refused", reason="momento")
    harness.momento.error = MomentoRefused("may not")
    with pytest.raises(MomentoRefused):
        await harness.vendor.token_for("alice")
    assert count("refused", reason="momento") == before + 1


async def test_an_exceeded_vending_quota_has_its_own_reason(harness: VendorHarness) -> None:
    replica = harness.replica(wait_seconds=0.0, per_second=0.1)
    await replica.token_for("alice")
    before = count("refused", reason="vending_quota")
    with pytest.raises(VendingQuotaExceeded) as caught:
        await replica.token_for("bob")
    assert 9 < caught.value.retry_after_seconds <= 10
    assert count("refused", reason="vending_quota") == before + 1


@pytest.mark.parametrize(("length", "kept"), [(1, True), (64, True), (65, False), (128, False)])
async def test_the_token_id_is_the_user_in_64_characters(harness: VendorHarness, length: int, kept: bool) -> None:
    user_id = "a" * length
    await harness.vendor.token_for(user_id)
    ((topic, _, token_id),) = harness.momento.vended
    assert topic == user_id
    assert len(token_id) <= 64
    assert (token_id == user_id) is kept
