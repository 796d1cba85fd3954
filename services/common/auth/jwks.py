"""Which entries of a JSON Web Key Set (RFC 7517) may verify an id token."""

import logging
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"  # the only one that Cognito signs with
MIN_MODULUS_BITS = 2048  # RFC 7518, section 3.3


class KeySetError(Exception):
    """The answer, or an entry of it, cannot be used; says why."""


def usable_keys(body: bytes) -> dict[str, PyJWK]:
    """The usable keys by key id; others are logged and passed over. Raises KeySetError if none is left."""
    keys: dict[str, PyJWK] = {}
    for entry in _entries(body):
        try:
            kid, key = _usable_key(entry)
            _refuse_twice(kid, keys)
            keys[kid] = key
        except KeySetError as error:
            logger.warning("Key set entry passed over", extra={"action": "key_set", "error": str(error)})
    if not keys:
        raise KeySetError("its answer has no usable key")
    return keys


def _entries(body: bytes) -> list[Any]:
    try:
        entries = orjson.loads(body)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        entries = None
    if not isinstance(entries, list):
        raise KeySetError("its answer is no JSON Web Key Set")
    return entries


def _refuse_twice(kid: str, keys: dict[str, PyJWK]) -> None:
    if kid in keys:
        raise KeySetError("its key id is taken by an earlier entry")


def _usable_key(entry: Any) -> tuple[str, PyJWK]:
    if not isinstance(entry, dict):
        raise KeySetError("it is no JSON object")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise KeySetError("it has no key id")
    for field, allowed in (("kty", ["RSA"]), ("use", ["sig", None]), ("alg", [ALGORITHM, None])):
        if entry.get(field) not in allowed:
            raise KeySetError(f"its {field} is not {allowed[0]}")
    try:
        key = PyJWK.from_dict(entry, ALGORITHM)
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        raise KeySetError(f"it is no RSA key ({type(error).__name__})") from error
    # A private key would verify as well, but whoever publishes one no longer owns it.
    if not isinstance(key.key, RSAPublicKey) or key.key.key_size < MIN_MODULUS_BITS:
        raise KeySetError(f"it is no public key of {MIN_MODULUS_BITS} bits or more")
    return kid, key
