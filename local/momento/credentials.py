"""API keys and disposable tokens: create, revoke and authenticate them."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from momento_wire_types import permissionmessages_pb2 as pb

from local.momento.errors import invalid_argument, unauthenticated
from local.momento.permissions import Access, access_of
from local.momento.settings import Settings
from local.momento.store.persistence import State

_HEADER = {"alg": "HS256", "typ": "JWT"}


def sign(claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{_encode(_HEADER)}.{_encode(claims)}"
    return f"{signed}.{_base64(_signature(signed, secret))}"


def verify(token: str, secret: bytes) -> dict[str, Any]:
    """Return the claims of a token that `sign` created with this secret; raises `ValueError` for any other."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_base64(_signature(signed, secret)).encode(), signature.encode()):
        raise ValueError("the signature does not match")
    # A token with a valid signature was created by `sign`, so the header needs no check.
    claims: dict[str, Any] = json.loads(_unbase64(signed.partition(".")[2]))
    return claims


def _signature(signed: str, secret: bytes) -> bytes:
    return hmac.digest(secret, signed.encode(), hashlib.sha256)


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


MAX_TOKEN_ID_CHARACTERS = 64
_KEY, _DISPOSABLE = "key", "disposable"


@dataclass(frozen=True, slots=True)
class Credential:
    """An authenticated credential. `expires_at` is in epoch seconds; an API key has none."""

    access: Access
    token_id: str = ""
    key_id: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key in both forms of Momento's console."""

    key_id: str
    v1: str
    v2: str


class Credentials:
    """All credentials of one emulator. They are signed, so that only the ids of keys are stored."""

    def __init__(self, settings: Settings, state: State, clock: Callable[[], float] = time.time) -> None:
        self.endpoint = "127.0.0.1"
        self._settings = settings
        self._state = state
        self._clock = clock
        self._known: LRUCache[str, Credential] = LRUCache(10_000)

    def create_key(self) -> ApiKey:
        key_id = secrets.token_hex(8)
        self._state.key_ids.add(key_id)
        self._state.save()
        inner = sign({"jti": key_id, "kind": _KEY}, self._state.secret)
        outer = json.dumps({"endpoint": self.endpoint, "api_key": inner})
        # SDKs recognise a v2 key by the claim t:"g".
        return ApiKey(
            key_id,
            base64.b64encode(outer.encode()).decode(),
            sign({"t": "g", "jti": key_id, "kind": _KEY}, self._state.secret),
        )

    def revoke(self, key_id: str) -> bool:
        """Revoke a key; return False if there is no such key."""
        if key_id not in self._state.key_ids:
            return False
        self._state.key_ids.remove(key_id)
        self._state.save()
        return True

    def vend(self, permissions: pb.Permissions, valid_for_seconds: int, token_id: str) -> tuple[str, int]:
        """Create a disposable token; return it and the epoch second at which it expires. Raises INVALID_ARGUMENT."""
        if len(token_id) > MAX_TOKEN_ID_CHARACTERS:
            raise invalid_argument(f"token_id must not be longer than {MAX_TOKEN_ID_CHARACTERS} characters")
        if not 0 < valid_for_seconds <= self._settings.max_token_seconds:
            raise invalid_argument(f"expiry must be within {self._settings.max_token_seconds} seconds")
        try:
            access_of(permissions)
        except ValueError as error:
            raise invalid_argument(str(error)) from error
        valid_until = int(self._clock()) + valid_for_seconds
        granted = base64.b64encode(permissions.SerializeToString()).decode()
        claims = {"kind": _DISPOSABLE, "jti": secrets.token_hex(8), "exp": valid_until, "id": token_id, "p": granted}
        return sign(claims, self._state.secret), valid_until

    def authenticate(self, token: str) -> Credential:
        """Authenticate; raises UNAUTHENTICATED for a missing, malformed, unknown, revoked or expired credential."""
        if not token:
            raise unauthenticated("No credential was sent")
        credential = self._known.get(token)
        if credential is None:
            credential = self._known[token] = self._read(token)
        if credential.key_id is not None and not self._is_valid_key(credential.key_id):
            raise unauthenticated("Invalid API key")
        if credential.expires_at is not None and self._clock() >= credential.expires_at:
            raise unauthenticated("The token has expired")
        return credential

    def authenticate_key(self, token: str) -> Credential:
        """Authenticate an API key; raises UNAUTHENTICATED for a disposable token too."""
        credential = self.authenticate(token)
        if credential.key_id is None:
            raise unauthenticated("A disposable token cannot vend tokens")
        return credential

    def _is_valid_key(self, key_id: str) -> bool:
        return key_id in self._state.key_ids and not self._settings.keys_refused

    def _read(self, token: str) -> Credential:
        try:
            claims = verify(token, self._state.secret)
        except ValueError as error:
            raise unauthenticated("Invalid credential") from error
        if claims["kind"] == _KEY:
            return Credential(Access(everything=True), key_id=claims["jti"])
        permissions = pb.Permissions.FromString(base64.b64decode(claims["p"]))
        return Credential(access_of(permissions), token_id=claims["id"], expires_at=claims["exp"])
