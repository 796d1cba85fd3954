"""Who is asking: the verified id token of a Cognito user."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cachetools import LRUCache
from jwt import PyJWK

from services.common.auth import jwt_segments
from services.common.auth.id_token_error import InvalidIdToken, Reason
from services.common.auth.jwks import ALGORITHM
from services.common.auth.key_set import KeySet, UnknownKey

# Clocks differ by seconds. Only for times in the past: an expired token stays expired.
LEEWAY_SECONDS = 5
# Tokens that were verified, by their SHA-256: 4 MB at most, and no token stays in memory.
MAX_REMEMBERED = 10_000
# Cognito issues id tokens for 5 minutes to 1 day.
MAX_LIFETIME_SECONDS = 24 * 3600
# The subject becomes a topic name and an SQS MessageGroupId (at most 128 characters); Cognito's are UUIDs.
_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Cognito's key ids are base64 with its padding.
_KEY_ID = re.compile(r"[\x21-\x7e]{1,128}")

__all__ = ["IdTokenVerifier", "InvalidIdToken", "Reason", "User"]


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
        self._verified: LRUCache[bytes, tuple[PyJWK, User]] = LRUCache(MAX_REMEMBERED)

    async def verify(self, token: str) -> User:
        """The user that the token stands for.

        Raises InvalidIdToken when it is refused, KeySetUnavailable when that cannot be told now.
        """
        # A browser sends its token with every request for an hour, and checking it costs more than all the rest.
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered(digest)
        if remembered is not None:
            return remembered
        key, user = await self._checked(token)
        self._verified[digest] = key, user
        return user

    def _remembered(self, digest: bytes) -> User | None:
        """The user of a token that was verified before, unless it has expired or its key has left the key set."""
        key, user = self._verified.get(digest, (None, None))
        if key is None or user is None:
            return None
        if user.expires_at > self._clock() and self._keys.holds(key):
            return user
        del self._verified[digest]
        return None

    async def _checked(self, token: str) -> tuple[PyJWK, User]:
        try:
            header, payload, _ = jwt_segments.split(token)
            kid = _key_id(jwt_segments.json_object(header))
            key = await self._keys.key(kid)
            self._check_signature(token, key)
            # Read anew: PyJWT takes the last of two equal claims, and NaN for a number.
            claims = jwt_segments.json_object(payload)
        except jwt_segments.SegmentError as error:
            raise InvalidIdToken(Reason.MALFORMED) from error
        except UnknownKey as error:
            raise InvalidIdToken(Reason.KEY) from error
        return key, self._user(claims)

    def _check_signature(self, token: str, key: PyJWK) -> None:
        """Signature, issuer and audience, and that nothing is missing; what PyJWT does well."""
        try:
            jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["exp", "iss", "aud", "sub", "token_use"],
                    # A list of audiences is refused even if ours is in it: Cognito never issues one,
                    # and a token that was meant for others too may be replayed by them.
                    "strict_aud": True,
                    # Times are checked below: PyJWT takes exp as text and any far future.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidIdToken(_reason(error)) from error
        except RecursionError as error:  # how many levels PyJWT's parser takes differs from Python to Python
            raise InvalidIdToken(Reason.MALFORMED) from error

    def _user(self, claims: Mapping[str, Any]) -> User:
        if claims["token_use"] != "id":  # noqa: S105 - no password
            raise InvalidIdToken(Reason.TOKEN_USE)
        if not isinstance(claims["sub"], str) or not _SUBJECT.fullmatch(claims["sub"]):
            raise InvalidIdToken(Reason.SUBJECT)
        now = self._clock()
        _check_past(claims, now)
        return User(sub=claims["sub"], expires_at=_expiry(claims["exp"], now))


def _key_id(header: Mapping[str, Any]) -> str:
    if header.get("alg") != ALGORITHM:
        raise InvalidIdToken(Reason.ALGORITHM)
    # crit demands extensions that we lack, b64 changes what is signed. jku, jwk and x5u are never looked at.
    if "crit" in header or "b64" in header:
        raise InvalidIdToken(Reason.MALFORMED)
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
        raise InvalidIdToken(Reason.KEY)
    return kid


def _check_past(claims: Mapping[str, Any], now: float) -> None:
    for name in ("iat", "nbf"):
        value = claims.get(name, 0)
        if not _is_number(value) or not 0 <= value <= now + LEEWAY_SECONDS:
            raise InvalidIdToken(Reason.TIME)


def _expiry(value: Any, now: float) -> float:
    if not _is_number(value) or not value <= now + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise InvalidIdToken(Reason.TIME)
    if value <= now:
        raise InvalidIdToken(Reason.EXPIRED)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reason(error: jwt.PyJWTError) -> Reason:
    if isinstance(error, jwt.MissingRequiredClaimError) and error.claim in ("aud", "token_use"):
        # Cognito's access token, the usual mistake, has a client_id where the id token has its audience.
        return Reason.TOKEN_USE
    return _REASONS.get(type(error), Reason.MALFORMED)


_REASONS: dict[type[jwt.PyJWTError], Reason] = {
    jwt.InvalidSignatureError: Reason.SIGNATURE,
    jwt.InvalidAlgorithmError: Reason.ALGORITHM,
    jwt.InvalidIssuerError: Reason.ISSUER,
    jwt.InvalidAudienceError: Reason.AUDIENCE,
}
