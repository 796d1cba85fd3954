"""Who asks: every route behind this middleware has a verified user, or the request is answered 401."""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from services.common.auth.bearer_token import id_token_of
from services.common.auth.id_token import IdTokenVerifier, User
from services.common.auth.id_token_error import InvalidIdToken
from services.common.auth.key_set import KeySet
from services.common.settings import OidcSettings
from services.common.telemetry.metrics import REFUSED_TOKENS
from services.common.web.app import LIFECYCLE, OWNER
from services.common.web.problem import Problem

logger = logging.getLogger(__name__)

USER = web.RequestKey("user", User)
VERIFIER = web.AppKey("verifier", IdTokenVerifier)


def require_user(app: web.Application, oidc: OidcSettings) -> None:
    """Let only verified users through to the routes of `app`."""

    async def verifier(app: web.Application) -> AsyncIterator[None]:
        lifecycle = app[LIFECYCLE]
        async with aiohttp.ClientSession() as session:
            keys = KeySet(oidc.jwks_url, session)
            lifecycle.add_check("keys", keys.readiness_problem)
            app[VERIFIER] = IdTokenVerifier(oidc.issuer, oidc.audience, keys)
            async with lifecycle.background.running("key-set", keys.run()):
                yield

    app.cleanup_ctx.append(verifier)
    app.middlewares.insert(len(app.middlewares) - 1, _authenticated)  # bodies are admitted last, for known users


@web.middleware
async def _authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.match_info.http_exception is None:  # an unknown path is 404 for everybody
        try:
            user = await request.app[VERIFIER].verify(id_token_of(request.headers))
        except InvalidIdToken as error:
            raise _unauthorized(error) from None
        request[USER], request[OWNER] = user, user.sub
    return await handler(request)


def _unauthorized(error: InvalidIdToken) -> Problem:
    REFUSED_TOKENS.labels(error.reason.value).inc()
    logger.info("id token refused", extra={"action": "authenticate", "reason": error.reason.value})
    return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
