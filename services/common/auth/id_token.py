"""Verification of the id tokens of Cognito users."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from cachetools import LRUCache
from jwt import PyJWK

from notification_api import PermanentError
from services.common.auth import jwt_segments
from services.common.auth.jwks import ALGORITHM
from services.common.auth.key_set import KeySet, UnknownKey

LEEWAY_SECONDS = 5
"""Clocks differ by seconds. Applies to `iat` and `nbf`, not to `exp`."""
MAX_CACHED_TOKENS = 10_000
"""Verified tokens, stored as SHA-256 digests: 4 MB at most."""
MAX_LIFETIME_SECONDS = 24 * 3600
"""Cognito issues id tokens for 5 minutes to 1 day."""
# The subject becomes a topic name and an SQS MessageGroupId (at most 128 characters); Cognito's are UUIDs.
_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Cognito's key ids are base64 with its padding.
_KEY_ID = re.compile(r"[\x21-\x7e]{1,128}")

_SIGN_IN_AGAIN = "Sign in again and send the new id token."


class RefusalReason(StrEnum):
    """Why an id token was refused; a metric label."""

    MISSING = "missing"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    TIME = "time"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TOKEN_USE = "token_use"  # noqa: S105 — the name of a claim
    SUBJECT = "subject"


_DETAILS = {
    RefusalReason.MISSING: "Send the id token as 'Authorization: Bearer <id token>'.",
    RefusalReason.MALFORMED: "The Authorization header has no well-formed id token. Send 'Bearer <id token>'.",
    RefusalReason.ALGORITHM: "The token is signed with an algorithm that this service does not accept. "
    + _SIGN_IN_AGAIN,
    RefusalReason.KEY: "The token is signed with an unknown key. " + _SIGN_IN_AGAIN,
    RefusalReason.SIGNATURE: "The token's signature is invalid. " + _SIGN_IN_AGAIN,
    RefusalReason.EXPIRED: "The token has expired. Refresh it or sign in again.",
    RefusalReason.TIME: "The token's times are invalid. Check the clock and sign in again.",
    RefusalReason.ISSUER: "The token was issued by another user pool. Sign in to the user pool of this service.",
    RefusalReason.AUDIENCE: "The token was issued for another application. Sign in through this application.",
    RefusalReason.TOKEN_USE: "This is not an id token. Send the id token, not the access token.",
    RefusalReason.SUBJECT: "The token has no valid subject. " + _SIGN_IN_AGAIN,
}


class InvalidIdToken(PermanentError):
    """The request has no valid id token (401).

    `reason` is a metric label, the message is for the client. Neither contains parts of the token.
    """

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(_DETAILS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in user. `expires_at`: when the id token expires, in epoch seconds."""

    sub: str
    expires_at: float


class IdTokenVerifier:
    """Verifies id tokens of one issuer (user pool) for one audience (app client)."""

    def __init__(self, issuer: str, audience: str, keys: KeySet, *, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._verified: LRUCache[bytes, tuple[PyJWK, User]] = LRUCache(MAX_CACHED_TOKENS)

    async def verify(self, token: str) -> User:
        """Return the user of the token.

        :raises InvalidIdToken: when the token is refused.
        :raises KeySetUnavailable: when it cannot be verified now.
        """
        # A browser sends the same token for an hour, and verifying it costs more than the rest of a request.
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        cached = self._cached(digest)
        if cached is not None:
            return cached
        key, user = await self._verify(token)
        self._verified[digest] = key, user
        return user

    def _cached(self, digest: bytes) -> User | None:
        """Return the user of a token that was verified before and has not expired, if its key is still valid."""
        key, user = self._verified.get(digest, (None, None))
        if key is None or user is None:
            return None
        if user.expires_at > self._clock() and self._keys.contains(key):
            return user
        del self._verified[digest]
        return None

    async def _verify(self, token: str) -> tuple[PyJWK, User]:
        try:
            header, payload, _ = jwt_segments.split(token)
            kid = _key_id(jwt_segments.json_object(header))
            key = await self._keys.key(kid)
            self._check_signature(token, key)
            # Parsed again: PyJWT accepts duplicate claims and NaN.
            claims = jwt_segments.json_object(payload)
        except jwt_segments.SegmentError as error:
            raise InvalidIdToken(RefusalReason.MALFORMED) from error
        except UnknownKey as error:
            raise InvalidIdToken(RefusalReason.KEY) from error
        return key, self._user(claims)

    def _check_signature(self, token: str, key: PyJWK) -> None:
        """Check the signature, the issuer, the audience, and that no claim is missing."""
        try:
            jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["exp", "iss", "aud", "sub", "token_use"],
                    # A list of audiences is refused: Cognito never issues one, and the other audiences could
                    # replay the token.
                    "strict_aud": True,
                    # Times are checked below: PyJWT accepts `exp` as text and any lifetime.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidIdToken(_reason(error)) from error
        except RecursionError as error:  # the parser's limit of levels depends on the Python version
            raise InvalidIdToken(RefusalReason.MALFORMED) from error

    def _user(self, claims: Mapping[str, Any]) -> User:
        if claims["token_use"] != "id":  # noqa: S105 — not a password
            raise InvalidIdToken(RefusalReason.TOKEN_USE)
        if not isinstance(claims["sub"], str) or not _SUBJECT.fullmatch(claims["sub"]):
            raise InvalidIdToken(RefusalReason.SUBJECT)
        now = self._clock()
        _check_past(claims, now)
        return User(sub=claims["sub"], expires_at=_expiry(claims["exp"], now))


def _key_id(header: Mapping[str, Any]) -> str:
    if header.get("alg") != ALGORITHM:
        raise InvalidIdToken(RefusalReason.ALGORITHM)
    # `crit` requires unsupported extensions, `b64` changes the signed bytes. `jku`, `jwk` and `x5u` are ignored.
    if "crit" in header or "b64" in header:
        raise InvalidIdToken(RefusalReason.MALFORMED)
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
        raise InvalidIdToken(RefusalReason.KEY)
    return kid


def _check_past(claims: Mapping[str, Any], now: float) -> None:
    for name in ("iat", "nbf"):
        value = claims.get(name, 0)
        if not _is_number(value) or not 0 <= value <= now + LEEWAY_SECONDS:
            raise InvalidIdToken(RefusalReason.TIME)


def _expiry(value: Any, now: float) -> float:
    if not _is_number(value) or not value <= now + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise InvalidIdToken(RefusalReason.TIME)
    if value <= now:
        raise InvalidIdToken(RefusalReason.EXPIRED)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reason(error: jwt.PyJWTError) -> RefusalReason:
    if isinstance(error, jwt.MissingRequiredClaimError) and error.claim in ("aud", "token_use"):
        # Cognito's access token, the usual mistake, has a client_id instead of an audience.
        return RefusalReason.TOKEN_USE
    return _REASONS.get(type(error), RefusalReason.MALFORMED)


_REASONS: dict[type[jwt.PyJWTError], RefusalReason] = {
    jwt.InvalidSignatureError: RefusalReason.SIGNATURE,
    jwt.InvalidAlgorithmError: RefusalReason.ALGORITHM,
    jwt.InvalidIssuerError: RefusalReason.ISSUER,
    jwt.InvalidAudienceError: RefusalReason.AUDIENCE,
}
