"""The permissions of disposable tokens: the scopes of the SDK, on every kind of call."""

from collections.abc import Callable

import pytest
from momento.auth.access_control.disposable_token_scope import DisposableTokenScope
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes as Scopes
from momento.auth.access_control.permission_scope import AllCaches, AllTopics
from momento.errors import MomentoErrorCode as Code

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.errors import error_code
from tests.support.processes.momento import MomentoEmulator

TOPIC_TABLE = [
    # scope, may subscribe, may publish (on topic "mine" of the cache)
    (lambda cache: Scopes.topic_subscribe_only(cache, "mine"), True, False),
    (lambda cache: Scopes.topic_publish_only(cache, "mine"), False, True),
    (lambda cache: Scopes.topic_publish_subscribe(cache, "mine"), True, True),
    (lambda cache: Scopes.topic_publish_subscribe(cache, "min"), False, False),
    (lambda cache: Scopes.topic_publish_subscribe(cache, "mine2"), False, False),
    (lambda cache: Scopes.topic_publish_subscribe("other", "mine"), False, False),
    (lambda cache: Scopes.topic_publish_subscribe(AllCaches(), "mine"), True, True),
    (lambda cache: Scopes.topic_subscribe_only(cache, AllTopics()), True, False),
    (Scopes.cache_read_write, False, False),
]


@pytest.mark.parametrize(("scope", "may_subscribe", "may_publish"), TOPIC_TABLE)
async def test_topic_permissions(
    momento_emulator: MomentoEmulator,
    momento_sdk: MomentoSdk,
    scope: Callable[[str], DisposableTokenScope],
    may_subscribe: bool,
    may_publish: bool,
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(scope(cache))
    async with open_momento_sdk(momento_emulator, token) as user:
        subscribed = error_code(await user.subscriber.subscribe(cache, "mine"))
        published = error_code(await user.topics.publish(cache, "mine", "text"))
    denied = Code.PERMISSION_ERROR
    assert (subscribed, published) == (None if may_subscribe else denied, None if may_publish else denied)


CACHE_TABLE = [
    # scope, may read, may write, may write conditionally (on key "user:1" of the cache)
    (Scopes.cache_read_write, True, True, True),
    (Scopes.cache_read_only, True, False, False),
    (Scopes.cache_write_only, False, True, False),
    (lambda cache: Scopes.cache_read_write(AllCaches()), True, True, True),
    (lambda cache: Scopes.cache_read_write("other"), False, False, False),
    (lambda cache: Scopes.cache_key_read_write(cache, "user:1"), True, True, True),
    (lambda cache: Scopes.cache_key_read_only(cache, "user:1"), True, False, False),
    (lambda cache: Scopes.cache_key_write_only(cache, "user:1"), False, True, False),
    (lambda cache: Scopes.cache_key_read_write(cache, "user:"), False, False, False),
    (lambda cache: Scopes.cache_key_prefix_read_write(cache, "user:"), True, True, True),
    (lambda cache: Scopes.cache_key_prefix_read_only(cache, "user:"), True, False, False),
    (lambda cache: Scopes.cache_key_prefix_read_only(cache, "admin:"), False, False, False),
    (lambda cache: Scopes.topic_publish_subscribe(cache, AllTopics()), False, False, False),
]


@pytest.mark.parametrize(("scope", "may_read", "may_write", "may_write_if_absent"), CACHE_TABLE)
async def test_cache_permissions(
    momento_emulator: MomentoEmulator,
    momento_sdk: MomentoSdk,
    scope: Callable[[str], DisposableTokenScope],
    may_read: bool,
    may_write: bool,
    may_write_if_absent: bool,
) -> None:
    cache = await momento_sdk.new_cache()
    async with open_momento_sdk(momento_emulator, await momento_sdk.vend(scope(cache))) as user:
        answers: list[tuple[bool, object]] = [
            (may_read, await user.caches.get(cache, "user:1")),
            (may_write, await user.caches.set(cache, "user:1", "value")),
            (may_write_if_absent, await user.caches.set_if_not_exists(cache, "user:1", "value")),
            (may_write, await user.caches.delete(cache, "user:1")),
            (may_read, await user.caches.dictionary_fetch(cache, "user:1")),
            (may_write, await user.caches.dictionary_set_field(cache, "user:1", "field", "value")),
        ]
    for permitted, answer in answers:
        assert error_code(answer) is (None if permitted else Code.PERMISSION_ERROR), answer


async def test_without_a_valid_key_existing_caches_are_not_disclosed(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with open_momento_sdk(
        momento_emulator, await momento_sdk.vend(Scopes.topic_subscribe_only("other", "t"))
    ) as user:
        there = await user.topics.publish(cache, "t", "text")
        not_there = await user.topics.publish("no-such-cache", "t", "text")
    assert error_code(there) is error_code(not_there) is Code.PERMISSION_ERROR
