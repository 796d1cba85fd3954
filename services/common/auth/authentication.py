"""The middleware that authenticates users: a request without a valid id token gets 401."""

import logging
from collections.abc import AsyncIterator, Collection

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from services.common.auth.bearer_token import id_token_of
from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken, User
from services.common.auth.key_set import KeySet
from services.common.settings import OidcSettings
from services.common.telemetry.metrics import REFUSED_TOKENS
from services.common.web.app import LIFECYCLE, OWNER
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType

logger = logging.getLogger(__name__)

USER = web.RequestKey("user", User)
VERIFIER = web.AppKey("verifier", IdTokenVerifier)
_PUBLIC_PATHS = web.AppKey[frozenset[str]]("public_paths", frozenset)


def require_user(app: web.Application, oidc: OidcSettings, *, public_paths: Collection[str] = ()) -> None:
    """Require a valid id token on every route of `app` but those of `public_paths`."""
    app[_PUBLIC_PATHS] = frozenset(public_paths)

    async def verifier(app: web.Application) -> AsyncIterator[None]:
        lifecycle = app[LIFECYCLE]
        async with aiohttp.ClientSession() as session:
            keys = KeySet(oidc.jwks_url, session)
            lifecycle.add_check("keys", keys.readiness_problem)
            app[VERIFIER] = IdTokenVerifier(oidc.issuer, oidc.audience, keys)
            async with lifecycle.background.running("key-set", keys.run()):
                yield

    app.cleanup_ctx.append(verifier)
    app.middlewares.insert(len(app.middlewares) - 1, _authenticate)  # before the body is admitted


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    is_unknown = request.match_info.http_exception is not None  # 404 or 405, without authentication
    if not is_unknown and request.path not in request.app[_PUBLIC_PATHS]:
        try:
            user = await request.app[VERIFIER].verify(id_token_of(request.headers))
        except InvalidIdToken as error:
            raise _unauthorized(error) from None
        request[USER], request[OWNER] = user, user.sub
    return await handler(request)


def _unauthorized(error: InvalidIdToken) -> Problem:
    REFUSED_TOKENS.labels(error.reason.value).inc()
    logger.info("id token refused", extra={"action": "authenticate", "reason": error.reason.value})
    return Problem(
        ProblemType.INVALID_ID_TOKEN, str(error), headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )
