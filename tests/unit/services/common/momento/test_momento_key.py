"""Momento API keys of both kinds, the errors of the SDK, and the change from one key's clients to the next."""

import asyncio
import base64
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from momento.errors import MomentoErrorCode, SdkException
from momento.internal.services import Service

from notification_api import PermanentError, TransientError
from services.common.momento.api_key import InvalidApiKey, credential_provider
from services.common.momento.clients import Clients, ClientSwitch
from services.common.momento.errors import (
    MomentoCacheNotFound,
    MomentoKeyRefused,
    MomentoQuotaExceeded,
    MomentoRefused,
    MomentoUnavailable,
    from_sdk,
)


def v1_key() -> str:
    return base64.b64encode(b'{"endpoint": "cell-1.example.com", "api_key": "eyJ.secret.x"}').decode()


def v2_key() -> str:
    def part(fields: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'t': 'g', 'jti': 'x'})}.c2lnbmF0dXJl"


def test_a_v1_key_carries_its_endpoint() -> None:
    provider = credential_provider(v1_key(), None)
    assert provider.auth_token == "eyJ.secret.x"
    assert provider.cache_endpoint == "cache.cell-1.example.com"
    assert provider.port == 443


def test_a_v1_keys_own_endpoint_overrides_the_setting() -> None:
    assert credential_provider(v1_key(), "other.example.com").cache_endpoint == "cache.cell-1.example.com"


def test_a_v2_key_connects_to_the_setting() -> None:
    provider = credential_provider(v2_key(), "cell-1.example.com")
    assert provider.auth_token == v2_key()
    assert provider.cache_endpoint == "cache.cell-1.example.com"


def test_a_v2_key_without_an_endpoint_names_the_missing_setting() -> None:
    with pytest.raises(InvalidApiKey, match="MOMENTO_ENDPOINT"):
        credential_provider(v2_key(), None)


@pytest.mark.parametrize(("key", "secret"), [(v1_key(), "eyJ.secret.x"), (v2_key(), v2_key())])
def test_both_kinds_connect_in_plaintext_where_the_setting_is_a_url(key: str, secret: str) -> None:
    provider = credential_provider(key, "http://127.0.0.1:8084")
    assert provider.auth_token == secret
    assert provider.cache_endpoint == provider.control_endpoint == provider.token_endpoint == "127.0.0.1"
    assert provider.port == 8084


@pytest.mark.parametrize("key", ["hello", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30.x", base64.b64encode(b"[]").decode()])
@pytest.mark.parametrize("endpoint", [None, "cell-1.example.com", "http://127.0.0.1:8084"])
def test_an_invalid_key_is_refused_and_not_quoted(key: str, endpoint: str | None) -> None:
    with pytest.raises(InvalidApiKey, match="neither a v1 nor a v2") as caught:
        credential_provider(key, endpoint)
    assert key not in str(caught.value)
    assert issubclass(InvalidApiKey, PermanentError)


@given(st.text(min_size=1) | st.binary().map(lambda value: base64.b64encode(value).decode()))
def test_any_text_is_a_key_or_is_refused(key: str) -> None:
    with pytest.raises(InvalidApiKey):
        credential_provider(key, None)


def sdk_error(code: MomentoErrorCode) -> SdkException:
    return SdkException("what happened", code, Service.TOPICS, message_wrapper="Momento says")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (MomentoErrorCode.AUTHENTICATION_ERROR, MomentoKeyRefused),
        (MomentoErrorCode.LIMIT_EXCEEDED_ERROR, MomentoQuotaExceeded),
        (MomentoErrorCode.CLIENT_RESOURCE_EXHAUSTED, MomentoQuotaExceeded),
        (MomentoErrorCode.SERVER_UNAVAILABLE, MomentoUnavailable),
        (MomentoErrorCode.TIMEOUT_ERROR, MomentoUnavailable),
        (MomentoErrorCode.NOT_FOUND_ERROR, MomentoCacheNotFound),
        (MomentoErrorCode.PERMISSION_ERROR, MomentoKeyRefused),
        (MomentoErrorCode.INVALID_ARGUMENT_ERROR, MomentoRefused),
    ],
)
def test_the_sdks_errors_say_what_to_do(code: MomentoErrorCode, kind: type[Exception]) -> None:
    error = from_sdk("publish", sdk_error(code))
    assert type(error) is kind
    assert code.name in str(error)


@pytest.mark.parametrize("code", MomentoErrorCode)
def test_every_code_is_transient_or_permanent(code: MomentoErrorCode) -> None:
    error = from_sdk("publish", sdk_error(code))
    assert isinstance(error, TransientError) is not isinstance(error, PermanentError)


class RecordedClients:
    """Records the clients that are created and retired, by name."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.retired: list[str] = []
        self.switch = ClientSwitch(self._make, lambda old: self.retired.append(cast("Any", old)))

    def _make(self, key: str) -> Clients:
        self.made.append(key)
        return cast("Clients", f"clients of {key}")


def test_the_same_key_keeps_its_clients() -> None:
    recorded = RecordedClients()
    assert recorded.switch.clients("one") is recorded.switch.clients("one")
    assert recorded.made == ["one"]


def test_a_new_key_gets_new_clients_and_the_old_ones_are_retired() -> None:
    recorded = RecordedClients()
    recorded.switch.clients("one")
    assert recorded.switch.clients("two") == cast("Any", "clients of two")
    assert (recorded.made, recorded.retired) == (["one", "two"], ["clients of one"])


class Closable:
    """One of the SDK's clients, which close at the end of their context."""

    def __init__(self) -> None:
        self.closed = False

    async def __aenter__(self) -> "Closable":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True


def clients() -> tuple[Clients, list[Closable]]:
    made = Clients(credential_provider(v1_key(), "http://127.0.0.1:1"), 1.0)
    parts = [Closable(), Closable(), Closable()]
    made.topics, made.tokens, made.cache = cast("Any", parts)
    return made, parts


async def test_the_grpc_stubs_of_the_cache_are_built_once() -> None:
    made = Clients(credential_provider(v1_key(), "http://127.0.0.1:1"), 1.0)
    for client in made.cache._data_clients:
        assert client._build_stub() is client._build_stub()
    await made.close(drain_seconds=0)


async def test_clients_close_when_their_last_call_has_ended() -> None:
    made, parts = clients()
    async with made.in_use():
        async with made.in_use():
            closing = asyncio.create_task(made.close(drain_seconds=30))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # time for a closing that must not come
        assert not any(part.closed for part in parts)
    await asyncio.wait_for(closing, 5)
    assert all(part.closed for part in parts)


async def test_a_call_that_does_not_end_is_aborted(caplog: pytest.LogCaptureFixture) -> None:
    made, parts = clients()
    async with made.in_use():
        await made.close(drain_seconds=0.01)
    assert all(part.closed for part in parts)
    assert "cut off" in caplog.text


async def test_a_drain_that_is_cancelled_closes_all_the_same() -> None:
    made, parts = clients()
    async with made.in_use():
        closing = asyncio.create_task(made.close(drain_seconds=30))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert all(part.closed for part in parts)
