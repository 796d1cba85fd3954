"""Cache calls of the unmodified SDK: values and dictionaries, with their time to live."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from momento.errors import MomentoErrorCode
from momento.requests import CollectionTtl
from momento.responses import (
    CacheDictionaryFetch,
    CacheDictionaryGetField,
    CacheDictionaryGetFields,
    CacheGet,
    CacheSetIfNotExists,
    CreateCache,
    DeleteCache,
    ListCaches,
)

from tests.support.momento.clients import MomentoSdk
from tests.support.momento.errors import error_code

SHORT = timedelta(milliseconds=300)


async def value(momento_sdk: MomentoSdk, cache: str, key: str) -> str | None:
    answer = await momento_sdk.caches.get(cache, key)
    assert isinstance(answer, CacheGet.Hit | CacheGet.Miss), answer
    return answer.value_string if isinstance(answer, CacheGet.Hit) else None


async def fields(momento_sdk: MomentoSdk, cache: str, dictionary: str) -> dict[str, str] | None:
    answer = await momento_sdk.caches.dictionary_fetch(cache, dictionary)
    assert isinstance(answer, CacheDictionaryFetch.Hit | CacheDictionaryFetch.Miss), answer
    return answer.value_dictionary_string_string if isinstance(answer, CacheDictionaryFetch.Hit) else None


async def wait_until_missing(read: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while await read() is not None:  # noqa: ASYNC110 -- the time to live runs in another process
            await asyncio.sleep(0.02)


async def test_caches_are_created_once_listed_and_deleted(momento_sdk: MomentoSdk, cache: str) -> None:
    assert isinstance(await momento_sdk.caches.create_cache(cache), CreateCache.CacheAlreadyExists)
    listed = await momento_sdk.caches.list_caches()
    assert isinstance(listed, ListCaches.Success)
    assert cache in [each.name for each in listed.caches]
    assert isinstance(await momento_sdk.caches.delete_cache(cache), DeleteCache.Success)
    assert error_code(await momento_sdk.caches.delete_cache(cache)) is MomentoErrorCode.NOT_FOUND_ERROR
    assert error_code(await momento_sdk.caches.get(cache, "key")) is MomentoErrorCode.NOT_FOUND_ERROR


async def test_a_recreated_cache_is_empty(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.set(cache, "key", "value")
    await momento_sdk.caches.delete_cache(cache)
    await momento_sdk.caches.create_cache(cache)
    assert await value(momento_sdk, cache, "key") is None


async def test_a_value_is_set_replaced_and_deleted(momento_sdk: MomentoSdk, cache: str) -> None:
    assert await value(momento_sdk, cache, "key") is None
    await momento_sdk.caches.set(cache, "key", "one")
    await momento_sdk.caches.set(cache, "key", "two")
    assert await value(momento_sdk, cache, "key") == "two"
    await momento_sdk.caches.delete(cache, "key")
    assert await value(momento_sdk, cache, "key") is None


async def test_a_value_expires(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.set(cache, "short", "value", SHORT)
    await momento_sdk.caches.set(cache, "long", "value")
    await wait_until_missing(lambda: value(momento_sdk, cache, "short"))
    assert await value(momento_sdk, cache, "long") == "value"


async def test_one_of_two_conditional_sets_wins_until_it_expires(momento_sdk: MomentoSdk, cache: str) -> None:
    claims = await asyncio.gather(*(momento_sdk.caches.set_if_not_exists(cache, "k", str(n), SHORT) for n in range(10)))
    assert [type(claim) for claim in claims].count(CacheSetIfNotExists.Stored) == 1
    await wait_until_missing(lambda: value(momento_sdk, cache, "k"))
    assert isinstance(await momento_sdk.caches.set_if_not_exists(cache, "k", "next"), CacheSetIfNotExists.Stored)
    assert await value(momento_sdk, cache, "k") == "next"


async def test_fields_are_set_read_and_removed(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.dictionary_set_fields(cache, "d", {"a": "1", "b": "2"})
    await momento_sdk.caches.dictionary_set_field(cache, "d", "c", "3")
    assert await fields(momento_sdk, cache, "d") == {"a": "1", "b": "2", "c": "3"}
    read = await momento_sdk.caches.dictionary_get_fields(cache, "d", ["c", "missing", "a"])
    assert isinstance(read, CacheDictionaryGetFields.Hit)
    assert read.value_dictionary_string_string == {"c": "3", "a": "1"}
    await momento_sdk.caches.dictionary_remove_fields(cache, "d", ["a", "missing"])
    assert await fields(momento_sdk, cache, "d") == {"b": "2", "c": "3"}


async def test_a_dictionary_without_fields_is_missing(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.dictionary_set_field(cache, "d", "only", "1")
    await momento_sdk.caches.dictionary_remove_field(cache, "d", "only")
    assert await fields(momento_sdk, cache, "d") is None
    assert isinstance(await momento_sdk.caches.dictionary_get_field(cache, "d", "only"), CacheDictionaryGetField.Miss)


async def test_a_whole_dictionary_is_deleted(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.dictionary_set_field(cache, "d", "field", "1")
    await momento_sdk.caches.delete(cache, "d")
    assert await fields(momento_sdk, cache, "d") is None


async def test_a_write_with_refresh_extends_the_time_to_live(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.dictionary_set_field(cache, "d", "first", "1", ttl=CollectionTtl.of(SHORT))
    await momento_sdk.caches.dictionary_set_field(cache, "d", "second", "2", ttl=CollectionTtl.of(timedelta(hours=1)))
    await momento_sdk.caches.set(cache, "witness", "", SHORT)
    await wait_until_missing(lambda: value(momento_sdk, cache, "witness"))
    assert await fields(momento_sdk, cache, "d") == {"first": "1", "second": "2"}


async def test_a_write_without_refresh_keeps_the_time_to_live(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.dictionary_set_field(cache, "d", "first", "1", ttl=CollectionTtl.of(SHORT))
    unrefreshed = CollectionTtl.of(timedelta(hours=1)).with_no_refresh_ttl_on_updates()
    await momento_sdk.caches.dictionary_set_field(cache, "d", "second", "2", ttl=unrefreshed)
    await wait_until_missing(lambda: fields(momento_sdk, cache, "d"))


async def test_a_new_dictionary_gets_its_time_to_live_without_refresh_too(momento_sdk: MomentoSdk, cache: str) -> None:
    short = CollectionTtl.of(SHORT).with_no_refresh_ttl_on_updates()
    await momento_sdk.caches.dictionary_set_field(cache, "d", "first", "1", ttl=short)
    assert await fields(momento_sdk, cache, "d") == {"first": "1"}
    await wait_until_missing(lambda: fields(momento_sdk, cache, "d"))


async def test_a_call_on_another_type_is_rejected(momento_sdk: MomentoSdk, cache: str) -> None:
    await momento_sdk.caches.set(cache, "value", "1")
    await momento_sdk.caches.dictionary_set_field(cache, "dictionary", "field", "1")
    wrong = [
        await momento_sdk.caches.dictionary_fetch(cache, "value"),
        await momento_sdk.caches.dictionary_set_field(cache, "value", "field", "1"),
        await momento_sdk.caches.get(cache, "dictionary"),
    ]
    assert {error_code(answer) for answer in wrong} == {MomentoErrorCode.FAILED_PRECONDITION_ERROR}


async def test_a_day_is_the_longest_time_to_live(momento_sdk: MomentoSdk, cache: str) -> None:
    assert error_code(await momento_sdk.caches.set(cache, "key", "value", timedelta(days=1))) is None
    too_long = await momento_sdk.caches.set(cache, "key", "value", timedelta(days=1, seconds=1))
    assert error_code(too_long) is MomentoErrorCode.INVALID_ARGUMENT_ERROR


async def test_other_methods_are_unimplemented(momento_sdk: MomentoSdk, cache: str) -> None:
    assert error_code(await momento_sdk.caches.list_fetch(cache, "list")) is MomentoErrorCode.BAD_REQUEST_ERROR
