"""Parses a JSON Web Key Set (RFC 7517): which of its keys may verify an id token."""

import logging
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"  # the only algorithm of Cognito
MIN_MODULUS_BITS = 2048  # RFC 7518, section 3.3


class KeySetError(Exception):
    """The response or one of its entries is invalid. The message says why."""


def valid_keys(body: bytes) -> dict[str, PyJWK]:
    """Return the valid keys by key id. Others are logged and ignored.

    :raises KeySetError: when there is none.
    """
    keys: dict[str, PyJWK] = {}
    for entry in _entries(body):
        try:
            kid, key = _valid_key(entry)
            _refuse_duplicate(kid, keys)
            keys[kid] = key
        except KeySetError as error:
            logger.warning("key set entry ignored", extra={"action": "key_set", "error": str(error)})
    if not keys:
        raise KeySetError("its response has no valid key")
    return keys


def _entries(body: bytes) -> list[Any]:
    try:
        entries = orjson.loads(body)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        entries = None
    if not isinstance(entries, list):
        raise KeySetError("its response is not a JSON Web Key Set")
    return entries


def _refuse_duplicate(kid: str, keys: dict[str, PyJWK]) -> None:
    if kid in keys:
        raise KeySetError("an earlier entry has the same key id")


def _valid_key(entry: Any) -> tuple[str, PyJWK]:
    if not isinstance(entry, dict):
        raise KeySetError("it is not a JSON object")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise KeySetError("it has no key id")
    for field, allowed in (("kty", ["RSA"]), ("use", ["sig", None]), ("alg", [ALGORITHM, None])):
        if entry.get(field) not in allowed:
            raise KeySetError(f"its {field} is not {allowed[0]}")
    try:
        key = PyJWK.from_dict(entry, ALGORITHM)
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        raise KeySetError(f"it is not an RSA key ({type(error).__name__})") from error
    # A private key would verify as well, but a published one is compromised.
    if not isinstance(key.key, RSAPublicKey) or key.key.key_size < MIN_MODULUS_BITS:
        raise KeySetError(f"it is not a public key of at least {MIN_MODULUS_BITS} bits")
    return kid, key
