"""An identity provider for tests: RSA keys, id tokens of any shape, and a JWKS server that can misbehave."""

import asyncio
import base64
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

NOW = 1_800_000_000
"""When the tokens made here are issued, in epoch seconds."""
ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_test"
AUDIENCE = "4h57lk3a7ebfpq0example"
SUBJECT = "0d4c1c2e-5f3b-4c59-a1b2-2f6f0a9be001"
KID = "first+key/id="

ABSENT: Any = object()
"""As the value of a header or claim: leave it out."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@functools.cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the same key for the same name: generating one takes 100 ms."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(kid: Any = KID, key: rsa.RSAPrivateKey | None = None, **fields: Any) -> dict[str, Any]:
    """An entry of a key set as Cognito writes it."""
    numbers = jwt.algorithms.RSAAlgorithm.to_jwk((key or rsa_key()).public_key(), as_dict=True)
    entry = {"kid": kid, "kty": "RSA", "use": "sig", "alg": "RS256", "n": numbers["n"], "e": numbers["e"]}
    return _changed(entry, fields)


def header(**fields: Any) -> dict[str, Any]:
    return _changed({"kid": KID, "alg": "RS256"}, fields)


def claims(**fields: Any) -> dict[str, Any]:
    """The claims of a Cognito id token."""
    usual = {
        "sub": SUBJECT,
        "email_verified": True,
        "iss": ISSUER,
        "cognito:username": SUBJECT,
        "origin_jti": "a8e3c1f0-1a53-4f17-bf0e-4c0c3a1d2b55",
        "aud": AUDIENCE,
        "event_id": "d9d0b1a6-3b0c-4a6b-9a0f-7a9a4d9b1c22",
        "token_use": "id",
        "auth_time": NOW,
        "exp": NOW + 3600,
        "iat": NOW,
        "jti": "f2b9d9ce-3d51-4d7f-8a38-59d0c3d7be11",
        "email": "someone@example.com",
    }
    return _changed(usual, fields)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    head: Mapping[str, Any] | bytes | None = None,
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    sign_as: str = "RS256",
    key: Any = None,
) -> str:
    """A token signed over exactly these bytes, whatever algorithm its header names."""
    signed = f"{encode(_raw(head, header))}.{encode(_raw(payload, claims))}"
    algorithm = jwt.PyJWS().get_algorithm_by_name(sign_as)
    signature = algorithm.sign(signed.encode(), algorithm.prepare_key(key or rsa_key()))
    return f"{signed}.{encode(signature)}"


class JwksServer:
    """The responses of the identity provider: `keys`, unless `answer` is set."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.keys: list[Any] = [jwk()]
        self.answer: Answer = self.good
        self.asked = asyncio.Event()

    async def good(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": self.keys})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.asked.set()
        return await self.answer(request)

    def fail(self, status: int = 500) -> None:
        """Answer with an error from now on."""

        async def broken(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        self.answer = broken

    def say(self, body: bytes, *, content_type: str = "application/json") -> None:
        """Answer with exactly this body from now on."""

        async def literal(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, content_type=content_type)

        self.answer = literal

    def hold(self) -> asyncio.Event:
        """Answer only once the returned event is set."""
        gate = asyncio.Event()

        async def late(request: web.Request) -> web.StreamResponse:
            await gate.wait()
            return await self.good(request)

        self.answer = late
        return gate

    def heal(self) -> None:
        """Answer with the key set again."""
        self.answer = self.good


@asynccontextmanager
async def jwks_server() -> AsyncIterator[JwksServer]:
    """Run a server on a free port of 127.0.0.1; at the end it drops open requests."""
    server = JwksServer()
    app = web.Application()
    app.router.add_get("/.well-known/jwks.json", server.handle)
    # 0 would mean to wait without limit for a response that never ends.
    runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/.well-known/jwks.json"
        yield server
    finally:
        await runner.cleanup()


def _raw(value: Mapping[str, Any] | bytes | None, usual: Callable[[], dict[str, Any]]) -> bytes:
    if isinstance(value, bytes):
        return value
    return json.dumps(usual() if value is None else value).encode()


def _changed(usual: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**usual, **fields}.items() if value is not ABSENT}
