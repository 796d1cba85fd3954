"""A whole service in this process, with its real settings, for users whose id tokens a test issues."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import pytest
from aiohttp import web
from environs import Env

from services.common.lifecycle import Lifecycle
from services.common.settings import load
from tests.support.contract import check_answer
from tests.support.identity import AUDIENCE, ISSUER, JwksServer, claims, header, token
from tests.support.processes.ministack import MiniStack
from tests.support.served_app import Answer, Served, aws_environment, served_app

S = TypeVar("S")
PAGE = "https://app.example.com"
StartIngest = Callable[..., AbstractAsyncContextManager[Served]]


def id_token(user_id: str = "alice", *, now: float, **fields: object) -> str:
    """An id token that was issued just now."""
    times = {"iat": int(now), "auth_time": int(now), "exp": int(now) + 3_600}
    return token(header(), claims(sub=user_id, **{**times, **fields}))


def service_environment(stack: MiniStack, account_id: str, jwks: JwksServer) -> dict[str, str]:
    """What every service with an API needs for these users."""
    return {
        **stack.environment(account_id),
        "STAGE_NAME": "test",
        "ALLOWED_ORIGINS": PAGE,
        "OIDC_ISSUER": ISSUER,
        "OIDC_AUDIENCE": AUDIENCE,
        "OIDC_JWKS_URL": jwks.url,
    }


def _check(method: str, path: str, answer: Answer) -> None:
    check_answer(method, path, answer.status, answer.headers, answer.body)


@asynccontextmanager
async def served_service(
    read_settings: Callable[[Env], S],
    create_app: Callable[[S, Lifecycle], web.Application],
    stack: MiniStack,
    account_id: str,
    jwks: JwksServer,
    environment: Mapping[str, str],
    *,
    ready: bool = True,
) -> AsyncIterator[Served]:
    """Serve the service on a free port; `ready` waits until it is. Its answers are checked against the contract."""
    with aws_environment({**stack.environment(account_id), **environment}), pytest.MonkeyPatch.context() as patch:
        for name, value in {**service_environment(stack, account_id, jwks), **environment}.items():
            patch.setenv(name, value)
        lifecycle = Lifecycle()
        async with served_app(create_app(load(read_settings), lifecycle), lifecycle) as unchecked:
            served = replace(unchecked, check=_check)
            yield await served.ready() if ready else served
