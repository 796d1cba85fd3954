"""Tokens in the shared cache: no use to anybody but our own replicas, and no harm when the cache is out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from notification_api import PermanentError, TransientError
from services.common.momento.gateway import DisposableToken
from services.token.vending.shared_tokens import MISS_SECONDS, SharedTokens
from tests.support.clock import ManualClock
from tests.support.fakes.momento import FakeMomento

TOKEN = DisposableToken("eyJ-a-disposable-token", "cache.cell-1.example.com", 1_800_001_800)


@pytest.fixture
def momento() -> FakeMomento:
    return FakeMomento(key="the-momento-api-key")


@pytest.fixture
def shared(momento: FakeMomento) -> SharedTokens:
    return SharedTokens(momento.as_momento())


async def test_another_replica_finds_the_token(shared: SharedTokens, momento: FakeMomento) -> None:
    await shared.put("alice", TOKEN, ttl_seconds=900)
    assert await SharedTokens(momento.as_momento()).find("alice") == TOKEN
    assert momento.ttls == {"token:alice": 900}


async def test_another_users_token_is_not_found(shared: SharedTokens) -> None:
    await shared.put("alice", TOKEN, ttl_seconds=900)
    assert await shared.find("bob") is None


async def test_a_stored_entry_discloses_neither_token_nor_endpoint(shared: SharedTokens, momento: FakeMomento) -> None:
    await shared.put("alice", TOKEN, ttl_seconds=900)
    stored = momento.items["token:alice"]
    for secret in (TOKEN.auth_token, TOKEN.endpoint, str(TOKEN.expires_at), momento.key):
        assert secret.encode() not in stored


async def test_the_same_token_is_never_stored_the_same_way_twice(shared: SharedTokens, momento: FakeMomento) -> None:
    stored = set()
    for _ in range(3):
        await shared.put("alice", TOKEN, ttl_seconds=900)
        stored.add(momento.items["token:alice"])
    assert len(stored) == 3


async def test_an_entry_moved_to_another_user_cannot_be_opened(shared: SharedTokens, momento: FakeMomento) -> None:
    await shared.put("alice", TOKEN, ttl_seconds=900)
    momento.items["token:bob"] = momento.items["token:alice"]
    assert await shared.find("bob") is None


async def test_after_a_change_of_the_api_key_old_entries_cannot_be_opened(
    shared: SharedTokens, momento: FakeMomento
) -> None:
    await shared.put("alice", TOKEN, ttl_seconds=900)
    momento.key = "the-next-momento-api-key"
    assert await shared.find("alice") is None
    await shared.put("alice", TOKEN, ttl_seconds=900)
    assert await shared.find("alice") == TOKEN


@given(st.binary(max_size=200))
async def test_other_cache_contents_are_no_token(junk: bytes) -> None:
    momento = FakeMomento()
    momento.items["token:alice"] = junk
    assert await SharedTokens(momento.as_momento()).find("alice") is None


@given(st.integers(0, 10_000), st.integers(1, 255))
async def test_an_entry_that_was_tampered_with_is_no_token(place: int, change: int) -> None:
    momento = FakeMomento()
    shared = SharedTokens(momento.as_momento())
    await shared.put("alice", TOKEN, ttl_seconds=900)
    stored = bytearray(momento.items["token:alice"])
    stored[place % len(stored)] ^= change
    momento.items["token:alice"] = bytes(stored)
    assert await shared.find("alice") is None


def unavailable(operation: str) -> float:
    labels = {"operation": operation}
    return REGISTRY.get_sample_value("notification_api_shared_tokens_unavailable_total", labels) or 0.0


@pytest.mark.parametrize("error", [TransientError("down"), PermanentError("refused")])
async def test_an_unavailable_cache_is_counted_and_no_error(
    shared: SharedTokens, momento: FakeMomento, error: Exception
) -> None:
    before = unavailable("get"), unavailable("set")
    momento.error = error
    assert await shared.find("alice") is None
    await shared.put("alice", TOKEN, ttl_seconds=900)
    assert (unavailable("get"), unavailable("set")) == (before[0] + 1, before[1] + 1)


def test_a_token_does_not_show_itself() -> None:
    assert TOKEN.auth_token not in repr(TOKEN)
    assert TOKEN.auth_token not in f"{[TOKEN]}"


async def test_a_user_who_was_not_found_is_not_looked_up_again_at_once(momento: FakeMomento) -> None:
    """A user who waits for the vending quota, and asks again and again, must not use up the cache's quota."""
    clock = ManualClock()
    shared, other = SharedTokens(momento.as_momento(), clock=clock), SharedTokens(momento.as_momento())
    for _ in range(1_000):
        assert await shared.find("alice") is None
    assert momento.calls.count("get") == 1
    await other.put("alice", TOKEN, ttl_seconds=900)
    clock.advance(MISS_SECONDS)
    assert await shared.find("alice") == TOKEN


async def test_while_the_cache_is_unavailable_a_user_is_not_looked_up_again_at_once(momento: FakeMomento) -> None:
    shared = SharedTokens(momento.as_momento(), clock=ManualClock())
    momento.error = TransientError("down")
    for _ in range(1_000):
        assert await shared.find("alice") is None
    assert momento.calls.count("get") == 1


async def test_the_users_own_token_is_found_after_a_miss(momento: FakeMomento) -> None:
    shared = SharedTokens(momento.as_momento(), clock=ManualClock())
    assert await shared.find("alice") is None
    await shared.put("alice", TOKEN, ttl_seconds=900)
    assert await shared.find("alice") == TOKEN


@pytest.mark.parametrize(("per_second", "at_once"), [(10.0, 50), (0.1, 1)])
async def test_lookups_are_limited_and_other_tokens_are_vended(
    momento: FakeMomento, per_second: float, at_once: int
) -> None:
    clock = ManualClock()
    shared = SharedTokens(momento.as_momento(), per_second, clock=clock)
    for number in range(1_000):
        await shared.find(f"user-{number}")
    assert momento.calls.count("get") == at_once
    clock.advance(10)
    for number in range(1_000, 2_000):
        await shared.find(f"user-{number}")
    assert momento.calls.count("get") == at_once + min(at_once, int(10 * per_second))
