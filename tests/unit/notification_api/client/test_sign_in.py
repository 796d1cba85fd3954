"""How the answers of Cognito are read, from a real HTTP server."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from notification_api.client.config import StageConfig
from notification_api.client.errors import CognitoError
from notification_api.client.sign_in import Credentials, confirm_sign_up

USER = Credentials(email="someone@example.com", password="hunter2-hunter2")


@dataclass
class Cognito:
    """Answers every call with `status` and `text`."""

    url: str = ""
    status: int = 200
    text: str = "{}"
    calls: list[tuple[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append((request.headers["X-Amz-Target"], json.loads(await request.text())))
        return web.Response(status=self.status, text=self.text, content_type="application/x-amz-json-1.1")

    async def confirm(self) -> None:
        config = StageConfig(api_url="", user_pool_id="r_1", user_pool_client_id="client", cognito_endpoint=self.url)
        async with aiohttp.ClientSession() as http:
            await confirm_sign_up(http, config, USER, "123456")


@pytest.fixture
async def cognito() -> AsyncIterator[Cognito]:
    server = Cognito()
    app = web.Application()
    app.router.add_post("/", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_a_call_is_unsigned_json_for_the_pools_client(cognito: Cognito) -> None:
    await cognito.confirm()
    body = {"ClientId": "client", "Username": USER.email, "ConfirmationCode": "123456"}
    assert cognito.calls == [("AWSCognitoIdentityProviderService.ConfirmSignUp", body)]


@pytest.mark.parametrize("kind", ["CodeMismatchException", "com.amazonaws.cognito#CodeMismatchException"])
async def test_an_error_has_cognitos_code_and_message(cognito: Cognito, kind: str) -> None:
    cognito.status, cognito.text = 400, f'{{"__type": "{kind}", "message": "Invalid code"}}'
    with pytest.raises(CognitoError, match="ConfirmSignUp: CodeMismatchException: Invalid code") as rejected:
        await cognito.confirm()
    assert rejected.value.code == "CodeMismatchException"


async def test_an_answer_that_is_not_json_is_an_error_with_its_status(cognito: Cognito) -> None:
    cognito.status, cognito.text = 502, "<html>Bad gateway"
    with pytest.raises(CognitoError, match="502: <html>Bad gateway"):
        await cognito.confirm()


def test_no_password_is_shown() -> None:
    assert USER.password not in repr(USER)
