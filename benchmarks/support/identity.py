"""An identity provider for benchmarks: RS256 id tokens as Cognito issues them, and their key set."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_benchmark"
AUDIENCE = "4h57lk3a7ebfpq0benchmark"
_KEY_ID = "benchmark"
_LIFETIME_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Identity:
    """Signs id tokens; its key set is at `jwks_url`."""

    key: rsa.RSAPrivateKey
    jwks_url: str

    def environment(self) -> dict[str, str]:
        return {"OIDC_ISSUER": ISSUER, "OIDC_AUDIENCE": AUDIENCE, "OIDC_JWKS_URL": self.jwks_url}

    def tokens(self, users: Sequence[str]) -> list[str]:
        """Issue an id token for each user."""
        return [self._token(user) for user in users]

    def _token(self, user: str) -> str:
        now = int(time.time())
        claims = {
            "sub": user,
            "email_verified": True,
            "iss": ISSUER,
            "cognito:username": user,
            "origin_jti": str(uuid.uuid4()),
            "aud": AUDIENCE,
            "event_id": str(uuid.uuid4()),
            "token_use": "id",
            "auth_time": now,
            "exp": now + _LIFETIME_SECONDS,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "email": "someone@example.com",
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": _KEY_ID})


@asynccontextmanager
async def identity_provider() -> AsyncIterator[Identity]:
    """Serve the key set for the duration of the context."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry = {"kid": _KEY_ID, "kty": "RSA", "use": "sig", "alg": "RS256", "n": numbers["n"], "e": numbers["e"]}

    async def get_keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": [entry]})

    app = web.Application()
    app.router.add_get("/.well-known/jwks.json", get_keys)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Identity(key, f"http://127.0.0.1:{runner.addresses[0][1]}/.well-known/jwks.json")
    finally:
        await runner.cleanup()
