"""The items of the Momento emulator: time to live and bounds."""

import pytest
from grpc import StatusCode

from local.momento.errors import CallError
from local.momento.settings import Settings
from local.momento.store.items import Items
from tests.support.clock import ManualClock


def absent(current: bytes | None) -> bool:
    return current is None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def items(clock: ManualClock) -> Items:
    return Items(Settings(max_cache_bytes=100), clock)


def test_a_value_exists_until_it_expires(items: Items, clock: ManualClock) -> None:
    items.set(b"k", b"v", 10)
    clock.advance(9.99)
    assert items.get(b"k") == b"v"
    clock.advance(0.01)
    assert items.get(b"k") is None
    assert items.used_bytes == 0


def test_an_expired_key_can_be_set_conditionally_again(items: Items, clock: ManualClock) -> None:
    assert items.set_if(b"k", b"1", 10, absent)
    assert not items.set_if(b"k", b"2", 10, absent)
    clock.advance(10)
    assert items.set_if(b"k", b"3", 10, absent)
    assert items.get(b"k") == b"3"


def test_a_rejected_conditional_set_does_not_extend_the_time_to_live(items: Items, clock: ManualClock) -> None:
    items.set_if(b"k", b"1", 10, absent)
    clock.advance(9)
    assert not items.set_if(b"k", b"2", 10, absent)
    clock.advance(1)
    assert items.get(b"k") is None


def test_expired_items_are_removed_without_a_read(items: Items, clock: ManualClock) -> None:
    items.set(b"short", b"v", 1)
    items.set(b"long", b"v", 100)
    items.set_fields(b"dictionary", {b"f": b"v"}, 1, refresh_ttl=True)
    clock.advance(1)
    items.remove_expired()
    assert (len(items), items.used_bytes) == (1, len(b"longv"))


@pytest.mark.parametrize(("refresh_ttl", "lives"), [(True, True), (False, False)])
def test_a_dictionarys_time_to_live_is_extended_only_on_request(
    items: Items, clock: ManualClock, refresh_ttl: bool, lives: bool
) -> None:
    items.set_fields(b"d", {b"a": b"1"}, 10, refresh_ttl=False)
    clock.advance(5)
    items.set_fields(b"d", {b"b": b"2"}, 10, refresh_ttl=refresh_ttl)
    assert items.dictionary(b"d") == {b"a": b"1", b"b": b"2"}
    clock.advance(6)
    assert (items.dictionary(b"d") is not None) is lives


def test_a_removal_keeps_the_time_to_live(items: Items, clock: ManualClock) -> None:
    items.set_fields(b"d", {b"a": b"1", b"b": b"2"}, 10, refresh_ttl=True)
    clock.advance(5)
    items.remove_fields(b"d", [b"a"])
    clock.advance(5)
    assert items.dictionary(b"d") is None


def test_setting_no_fields_creates_no_dictionary(items: Items) -> None:
    items.set_fields(b"d", {}, 10, refresh_ttl=True)
    items.remove_fields(b"d", [b"a"])
    assert items.dictionary(b"d") is None


def test_over_the_bound_the_least_recently_used_is_removed(items: Items) -> None:
    for key in (b"a", b"b", b"c"):
        items.set(key, b"x" * 29, 10)
    items.get(b"a")
    items.set(b"d", b"x" * 29, 10)
    assert [items.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert items.used_bytes <= 100


def test_the_bytes_in_use_follow_every_change(items: Items) -> None:
    items.set(b"k", b"12345", 10)
    items.set(b"k", b"1", 10)
    items.set_fields(b"d", {b"f": b"123"}, 10, refresh_ttl=True)
    items.set_fields(b"d", {b"f": b"1", b"g": b"2"}, 10, refresh_ttl=True)
    assert items.used_bytes == len(b"k1") + len(b"df1g2")
    items.delete(b"k")
    items.delete(b"d")
    items.delete(b"missing")
    assert items.used_bytes == 0


def test_a_set_replaces_a_dictionary_and_other_calls_reject_it(items: Items) -> None:
    items.set_fields(b"k", {b"f": b"v"}, 10, refresh_ttl=True)
    with pytest.raises(CallError) as refused:
        items.get(b"k")
    assert refused.value.status is StatusCode.FAILED_PRECONDITION
    items.set(b"k", b"v", 10)
    assert items.get(b"k") == b"v"
    with pytest.raises(CallError):
        items.dictionary(b"k")
