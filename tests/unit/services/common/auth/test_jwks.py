"""Which entries of a key set are used."""

import json
import logging
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.common.auth.jwks import KeySetError, valid_keys
from tests.support.identity import ABSENT, KID, encode, jwk, rsa_key


def key_set(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def elliptic() -> dict[str, Any]:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return {**jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True), "kid": KID, "use": "sig"}


def private() -> dict[str, Any]:
    return {**jwk(), **jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)}


JUNK: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a list": [jwk()],
    "an empty object": {},
    "no kid": jwk(kid=ABSENT),
    "an empty kid": jwk(kid=""),
    "a kid that is no text": jwk(kid=1),
    "no kty": jwk(kty=ABSENT),
    "a symmetric key": {"kty": "oct", "kid": KID, "k": encode(b"secret" * 8), "alg": "HS256"},
    "a symmetric key that says RS256": {"kty": "oct", "kid": KID, "k": encode(b"secret" * 8), "alg": "RS256"},
    "an elliptic curve": elliptic(),
    "an encryption key": jwk(use="enc"),
    "a use that is a list": jwk(use=["sig"]),
    "another algorithm": jwk(alg="RS512"),
    "PSS": jwk(alg="PS256"),
    "alg none": jwk(alg="none"),
    "no modulus": jwk(n=ABSENT),
    "a modulus that is no base64url": jwk(n="!!!"),
    "a modulus that is a number": jwk(n=65537),
    "a short modulus": jwk(key=rsa_key("short", 1024)),
    "an exponent of one": jwk(e=encode(b"\x01")),
    "an empty exponent": jwk(e=""),
    "a private key": private(),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_invalid_entries_are_logged_and_ignored(junk: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = jwk("good", rsa_key("second"))
    with caplog.at_level(logging.WARNING):
        assert list(valid_keys(key_set(junk, good))) == ["good"]
    assert [record.__dict__["action"] for record in caplog.records] == ["key_set"]
    assert caplog.records[0].__dict__["error"]


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_a_set_without_valid_entries_is_refused(junk: Any) -> None:
    with pytest.raises(KeySetError, match="no valid key"):
        valid_keys(key_set(junk))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"keys"',
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": "ab"}',
        b"\xff\xfe",
        b"[" * 60_000,
    ],
)
def test_an_invalid_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(KeySetError, match="not a JSON Web Key Set"):
        valid_keys(body)


def test_use_and_alg_may_be_left_out() -> None:
    [key] = valid_keys(key_set(jwk(use=ABSENT, alg=ABSENT))).values()
    assert key.algorithm_name == "RS256"


def test_the_first_of_two_entries_with_one_key_id_is_used() -> None:
    [key] = valid_keys(key_set(jwk(), jwk(key=rsa_key("second")))).values()
    assert key.key.public_numbers() == rsa_key().public_key().public_numbers()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no kid", "it has no key id"),
        ("an elliptic curve", "its kty is not RSA"),
        ("an encryption key", "its use is not sig"),
        ("PSS", "its alg is not RS256"),
        ("a short modulus", "it is not a public key of at least 2048 bits"),
    ],
)
def test_an_invalid_entry_is_logged_with_the_reason(name: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeySetError):
        valid_keys(key_set(JUNK[name]))
    assert [record.__dict__["error"] for record in caplog.records] == [said]
