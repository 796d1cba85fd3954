"""Every token that must be refused, and with which reason; each differs from a good one in one thing."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest

from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken, RefusalReason
from services.common.auth.key_set import KeySet
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    KID,
    NOW,
    SUBJECT,
    claims,
    encode,
    header,
    jwk,
    jwks_server,
    public_pem,
    rsa_key,
    token,
)

DAY = 24 * 3600


class _HmacWithAnyKey(jwt.algorithms.HMACAlgorithm):
    """What an attacker's library does: it takes a public key for a shared secret without complaint."""

    def prepare_key(self, key: Any) -> bytes:
        return bytes(key)


def signed_with_the_public_key(alg: str) -> str:
    signed = f"{encode(json.dumps(header(alg=alg)).encode())}.{encode(json.dumps(claims()).encode())}"
    secret = _HmacWithAnyKey(_HmacWithAnyKey.SHA256)
    return f"{signed}.{encode(secret.sign(signed.encode(), public_pem(rsa_key())))}"


def unsigned(**head: Any) -> str:
    return token(header(**head)).rpartition(".")[0] + "."


def padded(index: int) -> str:
    parts = token().split(".")
    parts[index] += "=" * (-len(parts[index]) % 4 or 4)
    return ".".join(parts)


def respelt_signature() -> str:
    """The same signature bytes with another last character: its four unused bits are set."""
    text = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def raw_claims(extra: str) -> bytes:
    """Our good claims with more text at the end of the object."""
    return (json.dumps(claims())[:-1] + extra + "}").encode()


def with_exp(literal: str) -> bytes:
    return json.dumps(claims(exp="EXP")).replace('"EXP"', literal).encode()


ATTACKER = rsa_key("attacker")
GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")

SHAPE = {
    "empty": "",
    "a space": " ",
    "one segment": HEAD,
    "two segments": f"{HEAD}.{BODY}",
    "four segments": GOOD + ".AAAA",
    "two dots and nothing else": "..",
    "a doubled dot": f"{HEAD}..{BODY}.{SIGNATURE}",
    "an empty header": f".{BODY}.{SIGNATURE}",
    "an empty payload": f"{HEAD}..{SIGNATURE}",
    "an empty signature": f"{HEAD}.{BODY}.",
    "a padded header": padded(0),
    "a padded payload": padded(1),
    "a padded signature": padded(2),
    "a respelt signature": respelt_signature(),
    "a leading space": " " + GOOD,
    "a trailing newline": GOOD + "\n",
    "an inner newline": f"{HEAD}\n.{BODY}.{SIGNATURE}",
    "an inner tab": f"{HEAD}.{BODY}\t.{SIGNATURE}",
    "a NUL": GOOD + "\0",
    "unicode letters": GOOD + "é",
    "unicode digits": GOOD + "\u0661",
    "a lone surrogate": GOOD + "\udc80",
    "standard base64": GOOD.replace("-", "+").replace("_", "/"),
    "a segment of impossible length": f"{HEAD}.{BODY}.A",
    "over 8 KiB": token(payload=claims(filler="x" * 8192)),
    "200 kB": token(payload=claims(filler="x" * 200_000)),
    "200 kB of dots": "." * 200_000,
    "a JSON serialisation": json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    "an encrypted token's five segments": f"{GOOD}.{BODY}.{SIGNATURE}",
}

HEADER = {
    "no JSON": (token(b"header"), RefusalReason.MALFORMED),
    "an array": (token(b"[]"), RefusalReason.MALFORMED),
    "null": (token(b"null"), RefusalReason.MALFORMED),
    "not UTF-8": (token(b'{"alg":"RS256","kid":"\xff"}'), RefusalReason.MALFORMED),
    "UTF-16": (token(json.dumps(header()).encode("utf-16")), RefusalReason.MALFORMED),
    "a byte order mark": (token(b"\xef\xbb\xbf" + json.dumps(header()).encode()), RefusalReason.MALFORMED),
    "deeply nested": (token(b'{"a":' + b"[" * 5000), RefusalReason.MALFORMED),
    "alg twice": (token(b'{"alg":"none","alg":"RS256","kid":"%s"}' % KID.encode()), RefusalReason.MALFORMED),
    "kid twice": (token(b'{"alg":"RS256","kid":"x","kid":"%s"}' % KID.encode()), RefusalReason.MALFORMED),
    "a critical extension": (token(header(crit=["exp"], exp=NOW)), RefusalReason.MALFORMED),
    "an empty crit": (token(header(crit=[])), RefusalReason.MALFORMED),
    "an unencoded payload": (token(header(b64=False, crit=["b64"])), RefusalReason.MALFORMED),
    "b64 without crit": (token(header(b64=False)), RefusalReason.MALFORMED),
    "no alg": (token(header(alg=ABSENT)), RefusalReason.ALGORITHM),
    "alg null": (token(header(alg=None)), RefusalReason.ALGORITHM),
    "alg a list": (token(header(alg=["RS256"])), RefusalReason.ALGORITHM),
    "alg none, unsigned": (unsigned(alg="none"), RefusalReason.MALFORMED),
    "alg none, signed": (token(header(alg="none")), RefusalReason.ALGORITHM),
    "alg NoNe": (token(header(alg="NoNe")), RefusalReason.ALGORITHM),
    "alg in lower case": (token(header(alg="rs256")), RefusalReason.ALGORITHM),
    "HS256 with the public key": (signed_with_the_public_key("HS256"), RefusalReason.ALGORITHM),
    "HMAC with the public key that says RS256": (signed_with_the_public_key("RS256"), RefusalReason.SIGNATURE),
    "RS512": (token(header(alg="RS512"), sign_as="RS512"), RefusalReason.ALGORITHM),
    "RS512 that says RS256": (token(sign_as="RS512"), RefusalReason.SIGNATURE),
    "PS256": (token(header(alg="PS256"), sign_as="PS256"), RefusalReason.ALGORITHM),
    "PS256 that says RS256": (token(sign_as="PS256"), RefusalReason.SIGNATURE),
    "another key": (token(key=ATTACKER), RefusalReason.SIGNATURE),
    "an embedded key": (token(header(jwk=jwk(key=ATTACKER)), key=ATTACKER), RefusalReason.SIGNATURE),
    "a key set of the attacker's": (token(header(jku="http://127.0.0.1:1/"), key=ATTACKER), RefusalReason.SIGNATURE),
    "a certificate's address": (token(header(x5u="http://127.0.0.1:1/"), key=ATTACKER), RefusalReason.SIGNATURE),
    "an embedded certificate": (token(header(x5c=["MIIB"]), key=ATTACKER), RefusalReason.SIGNATURE),
    "no kid": (token(header(kid=ABSENT)), RefusalReason.KEY),
    "an unknown kid": (token(header(kid="unknown")), RefusalReason.KEY),
    "an empty kid": (token(header(kid="")), RefusalReason.KEY),
    "kid a number": (token(header(kid=1)), RefusalReason.KEY),
    "kid an object": (token(header(kid={"a": 1})), RefusalReason.KEY),
    "a long kid": (token(header(kid="k" * 129)), RefusalReason.KEY),
    "a kid with a newline": (token(header(kid=KID + "\n")), RefusalReason.KEY),
    "a path as kid": (token(header(kid="../../../../dev/null")), RefusalReason.KEY),
    "SQL as kid": (token(header(kid="x'UNION/**/SELECT'x")), RefusalReason.KEY),
    "a kid in another script": (token(header(kid="ключ")), RefusalReason.KEY),
    "a lone surrogate as kid": (token(header(kid="\ud800")), RefusalReason.KEY),
}

CLAIMS = {
    "no JSON": (b"claims", RefusalReason.MALFORMED),
    "an array": (b"[]", RefusalReason.MALFORMED),
    "a string": (b'"sub"', RefusalReason.MALFORMED),
    "empty": (b"{}", RefusalReason.MALFORMED),
    "not UTF-8": (raw_claims(',"x":"').replace(b"}", b'\xff"}'), RefusalReason.MALFORMED),
    "UTF-16": (json.dumps(claims()).encode("utf-16"), RefusalReason.MALFORMED),
    "sub twice": (raw_claims(f', "sub": "{SUBJECT}"'), RefusalReason.MALFORMED),
    "exp twice": (raw_claims(f', "exp": {NOW + 60}'), RefusalReason.MALFORMED),
    "a nested name twice": (raw_claims(', "address": {"a": 1, "a": 2}'), RefusalReason.MALFORMED),
    "a name twice by escape": (raw_claims(f', "s\\u0075b": "{SUBJECT}"'), RefusalReason.MALFORMED),
    "NaN anywhere": (raw_claims(', "x": NaN'), RefusalReason.MALFORMED),
    "a number of 5000 digits": (raw_claims(', "x": ' + "9" * 5000), RefusalReason.MALFORMED),
    "nested on 33 levels": (raw_claims(', "x": ' + "[" * 32 + "]" * 32), RefusalReason.MALFORMED),
    "objects on 33 levels": (raw_claims(', "x": ' + '{"a":' * 31 + "{}" + "}" * 31), RefusalReason.MALFORMED),
    "nested on 500 levels": (raw_claims(', "x": ' + "[" * 500 + "]" * 500), RefusalReason.MALFORMED),
    "deeply nested": (raw_claims(', "x": ' + "[" * 2000 + "]" * 2000), RefusalReason.MALFORMED),
    "no exp": (claims(exp=ABSENT), RefusalReason.MALFORMED),
    "no iss": (claims(iss=ABSENT), RefusalReason.MALFORMED),
    "no sub": (claims(sub=ABSENT), RefusalReason.MALFORMED),
    "exp null": (claims(exp=None), RefusalReason.MALFORMED),
    "sub null": (claims(sub=None), RefusalReason.MALFORMED),
    "no aud": (claims(aud=ABSENT), RefusalReason.TOKEN_USE),
    "no token_use": (claims(token_use=ABSENT), RefusalReason.TOKEN_USE),
    "an access token as Cognito makes it": (
        claims(token_use="access", aud=ABSENT, client_id=AUDIENCE, scope="aws.cognito.signin.user.admin"),
        RefusalReason.TOKEN_USE,
    ),
    "an access token with our aud": (claims(token_use="access"), RefusalReason.TOKEN_USE),
    "token_use in capitals": (claims(token_use="ID"), RefusalReason.TOKEN_USE),
    "token_use a list": (claims(token_use=["id"]), RefusalReason.TOKEN_USE),
    "another aud": (claims(aud="another-client"), RefusalReason.AUDIENCE),
    "a list of just our aud": (claims(aud=[AUDIENCE]), RefusalReason.AUDIENCE),
    "a list that contains our aud": (claims(aud=["another-client", AUDIENCE]), RefusalReason.AUDIENCE),
    "an object of our aud": (claims(aud={AUDIENCE: 1}), RefusalReason.AUDIENCE),
    "aud with a space": (claims(aud=AUDIENCE + " "), RefusalReason.AUDIENCE),
    "aud in capitals": (claims(aud=AUDIENCE.upper()), RefusalReason.AUDIENCE),
    "a part of our aud": (claims(aud=AUDIENCE[:-1]), RefusalReason.AUDIENCE),
    "another iss": (claims(iss=ISSUER + "2"), RefusalReason.ISSUER),
    "iss with a slash at the end": (claims(iss=ISSUER + "/"), RefusalReason.ISSUER),
    "iss without TLS": (claims(iss=ISSUER.replace("https", "http")), RefusalReason.ISSUER),
    "a list of our iss": (claims(iss=[ISSUER]), RefusalReason.ISSUER),
    "an empty iss": (claims(iss=""), RefusalReason.ISSUER),
    "expired this second": (claims(exp=NOW), RefusalReason.EXPIRED),
    "expired long ago": (claims(exp=1), RefusalReason.EXPIRED),
    "exp zero": (claims(exp=0), RefusalReason.EXPIRED),
    "exp negative": (claims(exp=-1), RefusalReason.EXPIRED),
    "exp true": (claims(exp=True), RefusalReason.TIME),
    "exp as text": (claims(exp=str(NOW + 60)), RefusalReason.TIME),
    "exp an empty text": (claims(exp=""), RefusalReason.TIME),
    "exp a list": (claims(exp=[NOW + 60]), RefusalReason.TIME),
    "exp 1e308": (claims(exp=1e308), RefusalReason.TIME),
    "exp beyond a double": (with_exp("1e999"), RefusalReason.TIME),
    "exp before all doubles": (with_exp("-1e999"), RefusalReason.EXPIRED),
    "exp of 400 digits": (with_exp("9" * 400), RefusalReason.TIME),
    "exp in milliseconds": (claims(exp=(NOW + 60) * 1000), RefusalReason.TIME),
    "exp NaN": (with_exp("NaN"), RefusalReason.MALFORMED),
    "exp Infinity": (with_exp("Infinity"), RefusalReason.MALFORMED),
    "exp in over a day": (claims(exp=NOW + DAY + 6), RefusalReason.TIME),
    "iat in the future": (claims(iat=NOW + 6), RefusalReason.TIME),
    "iat as text": (claims(iat=str(NOW)), RefusalReason.TIME),
    "iat null": (claims(iat=None), RefusalReason.TIME),
    "iat true": (claims(iat=True), RefusalReason.TIME),
    "iat negative": (claims(iat=-1), RefusalReason.TIME),
    "nbf in the future": (claims(nbf=NOW + 6), RefusalReason.TIME),
    "nbf as text": (claims(nbf=str(NOW)), RefusalReason.TIME),
    "nbf 1e308": (claims(nbf=1e308), RefusalReason.TIME),
    "sub empty": (claims(sub=""), RefusalReason.SUBJECT),
    "sub a number": (claims(sub=7), RefusalReason.MALFORMED),
    "sub a list": (claims(sub=[SUBJECT]), RefusalReason.MALFORMED),
    "sub with a newline at the end": (claims(sub=SUBJECT + "\n"), RefusalReason.SUBJECT),
    "sub with a newline within": (claims(sub="a\nb"), RefusalReason.SUBJECT),
    "sub a space": (claims(sub=" "), RefusalReason.SUBJECT),
    "sub with a NUL": (claims(sub="a\0"), RefusalReason.SUBJECT),
    "sub too long": (claims(sub="x" * 129), RefusalReason.SUBJECT),
    "sub in another script": (claims(sub="пользователь"), RefusalReason.SUBJECT),
    "sub with unicode digits": (claims(sub="\u0661\u0662"), RefusalReason.SUBJECT),
    "sub a lone surrogate": (claims(sub="\ud800"), RefusalReason.SUBJECT),
    "sub a path": (claims(sub="../admin"), RefusalReason.SUBJECT),
    "sub with a slash": (claims(sub="a/b"), RefusalReason.SUBJECT),
    "sub with a colon": (claims(sub="history:a"), RefusalReason.SUBJECT),
    "sub a wildcard": (claims(sub="*"), RefusalReason.SUBJECT),
}


@pytest.fixture
async def verifier() -> AsyncIterator[IdTokenVerifier]:
    async with jwks_server() as server, aiohttp.ClientSession() as session:
        yield IdTokenVerifier(ISSUER, AUDIENCE, KeySet(server.url, session), clock=lambda: NOW)


async def refusal(verifier: IdTokenVerifier, text: str) -> RefusalReason:
    # Else a fault in the support would have every attack refused for the wrong reason.
    await verifier.verify(GOOD)
    with pytest.raises(InvalidIdToken) as refused:
        await verifier.verify(text)
    return refused.value.reason


@pytest.mark.parametrize("text", SHAPE.values(), ids=SHAPE.keys())
async def test_a_token_of_another_shape_is_refused(verifier: IdTokenVerifier, text: str) -> None:
    assert text != GOOD
    assert await refusal(verifier, text) == RefusalReason.MALFORMED


@pytest.mark.parametrize(("text", "reason"), HEADER.values(), ids=HEADER.keys())
async def test_a_token_with_such_a_header_or_signature_is_refused(
    verifier: IdTokenVerifier, text: str, reason: RefusalReason
) -> None:
    assert await refusal(verifier, text) == reason


@pytest.mark.parametrize(("payload", "reason"), CLAIMS.values(), ids=CLAIMS.keys())
async def test_a_well_signed_token_with_such_claims_is_refused(
    verifier: IdTokenVerifier, payload: Any, reason: RefusalReason
) -> None:
    assert await refusal(verifier, token(payload=payload)) == reason


@pytest.mark.parametrize(("payload", "_"), CLAIMS.values(), ids=CLAIMS.keys())
async def test_claims_are_not_checked_before_the_signature(
    verifier: IdTokenVerifier, payload: Any, _: RefusalReason
) -> None:
    forged = token(payload=payload, key=ATTACKER)
    assert await refusal(verifier, forged) == RefusalReason.SIGNATURE


def test_the_respelt_signature_has_the_same_bytes() -> None:
    respelt = respelt_signature().rpartition(".")[2]
    assert base64.urlsafe_b64decode(respelt + "==") == base64.urlsafe_b64decode(SIGNATURE + "==")
