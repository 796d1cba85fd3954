"""Signing, authentication and expiry in the Momento emulator."""

import base64
import json

import jwt
import pytest
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from momento import CredentialProvider
from momento_wire_types import permissionmessages_pb2 as pb

from local.momento.credentials import Credentials, sign, verify
from local.momento.errors import CallError
from local.momento.permissions import Action
from local.momento.settings import Settings
from local.momento.store.persistence import State
from tests.support.clock import ManualClock

SUBSCRIBER = pb.Permissions(
    explicit=pb.ExplicitPermissions(
        permissions=[
            pb.PermissionsType(
                topic_permissions=pb.PermissionsType.TopicPermissions(
                    role=pb.TopicReadOnly,
                    cache_selector=pb.PermissionsType.CacheSelector(cache_name="c"),
                    topic_selector=pb.PermissionsType.TopicSelector(topic_name="mine"),
                )
            )
        ]
    )
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.5)


@pytest.fixture
def credentials(clock: ManualClock) -> Credentials:
    return Credentials(Settings(), State(), clock)


def refused(credentials: Credentials, token: str) -> StatusCode:
    with pytest.raises(CallError) as error:
        credentials.authenticate(token)
    return error.value.status


def test_a_signed_token_is_a_json_web_token() -> None:
    token = sign({"t": "g"}, b"s" * 32)
    assert jwt.decode(token, b"s" * 32, algorithms=["HS256"]) == {"t": "g"}
    assert verify(token, b"s" * 32) == {"t": "g"}


@given(st.text(max_size=200))
def test_unsigned_text_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        verify(text, b"s" * 32)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_token_with_one_changed_character_is_rejected(position: int, character: int) -> None:
    token = sign({"kind": "key", "jti": "0123"}, b"s" * 32)
    position %= len(token)
    forged = token[:position] + chr(character) + token[position + 1 :]
    if forged != token:
        with pytest.raises(ValueError, match="signature"):
            verify(forged, b"s" * 32)


def test_a_key_of_either_form_is_valid_until_it_is_revoked(credentials: Credentials) -> None:
    key = credentials.create_key()
    inner = json.loads(base64.b64decode(key.v1))["api_key"]
    assert CredentialProvider.from_api_key_v2(key.v2, "host").auth_token == key.v2
    assert credentials.authenticate(inner).access.everything
    assert credentials.authenticate(key.v2).access.everything
    assert credentials.revoke(key.key_id)
    assert not credentials.revoke(key.key_id)
    assert refused(credentials, inner) is refused(credentials, key.v2) is StatusCode.UNAUTHENTICATED


def test_a_v1_key_is_not_a_v2_key_and_its_encoding_is_no_credential(credentials: Credentials) -> None:
    key = credentials.create_key()
    assert CredentialProvider.from_disposable_token(key.v1).auth_token != key.v2
    assert refused(credentials, key.v1) is StatusCode.UNAUTHENTICATED


def test_a_token_carries_its_access_and_its_id(credentials: Credentials) -> None:
    token, _ = credentials.vend(SUBSCRIBER, 60, "user-7")
    credential = credentials.authenticate(token)
    assert credential.token_id == "user-7"
    assert credential.access.allows(Action.SUBSCRIBE, "c", b"mine")
    assert not credential.access.allows(Action.PUBLISH, "c", b"mine")
    assert not credential.access.everything


def test_a_token_is_valid_until_its_expiry(credentials: Credentials, clock: ManualClock) -> None:
    token, valid_until = credentials.vend(SUBSCRIBER, 60, "")
    assert valid_until == 1_000_060
    clock.now = valid_until - 0.001
    credentials.authenticate(token)
    clock.now = float(valid_until)
    assert refused(credentials, token) is StatusCode.UNAUTHENTICATED


def test_only_an_api_key_is_accepted_as_one(credentials: Credentials) -> None:
    token, _ = credentials.vend(SUBSCRIBER, 60, "")
    credentials.authenticate_key(credentials.create_key().v2)
    with pytest.raises(CallError) as error:
        credentials.authenticate_key(token)
    assert error.value.status is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("seconds", "token_id"), [(0, ""), (90_001, ""), (60, "x" * 65)], ids=["none", "over 25 h", "long id"]
)
def test_a_token_out_of_bounds_is_rejected(credentials: Credentials, seconds: int, token_id: str) -> None:
    with pytest.raises(CallError) as error:
        credentials.vend(SUBSCRIBER, seconds, token_id)
    assert error.value.status is StatusCode.INVALID_ARGUMENT


def test_a_credential_of_another_emulator_is_invalid(credentials: Credentials) -> None:
    other = Credentials(Settings(), State())
    assert refused(credentials, other.create_key().v2) is StatusCode.UNAUTHENTICATED
    assert refused(credentials, other.vend(SUBSCRIBER, 60, "")[0]) is StatusCode.UNAUTHENTICATED
    assert refused(credentials, "") is StatusCode.UNAUTHENTICATED
