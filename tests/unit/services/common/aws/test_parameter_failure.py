"""What is reported when a parameter cannot be read, with failures of a real client."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiohttp import web
from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

from services.common.aws.ssm_parameter import ParameterUnavailable, SsmParameter
from services.common.aws.ssm_parameter_error import cause
from tests.support.aws_session import SESSION
from tests.support.clock import ManualClock

NAME = "/notification-api/test/momento-api-key"
JSON = "application/x-amz-json-1.1"
CLIENT: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "config": AioConfig(retries={"total_max_attempts": 1}),
}


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ParameterNotFound", "SecureString"),
        ("AccessDeniedException", "ssm:GetParameter"),
        ("ExpiredTokenException", "renew"),
        ("UnrecognizedClientException", "credentials"),
        ("InvalidSignatureException", "clock"),
        ("ThrottlingException", "throttles"),
        ("SomethingNew", "error of SSM"),
    ],
)
def test_an_error_that_ssm_answers_is_called_by_its_name_with_what_to_do(code: str, advice: str) -> None:
    message = "User: arn:aws:sts::123456789012:assumed-role/r is not authorized"
    text = cause(ClientError({"Error": {"Code": code, "Message": message}}, "GetParameter"))
    assert code in text
    assert advice in text
    assert "123456789012" not in text


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")]
)
def test_missing_credentials_are_called_so(error: Exception) -> None:
    assert type(error).__name__ in cause(error)
    assert "role" in cause(error)


def test_an_answer_without_a_code_still_has_a_cause() -> None:
    assert "Unknown" in cause(ClientError({}, "GetParameter"))


async def reason(**client: Any) -> str:
    async with SESSION.create_client("ssm", **{**CLIENT, **client}) as ssm:
        parameter = SsmParameter(ssm, NAME)
        assert not await parameter.refresh_now()
        with pytest.raises(ParameterUnavailable, match=NAME):
            parameter.value()
        return str(parameter.readiness_problem())


@asynccontextmanager
async def ssm_that_answers(responses: Iterator[tuple[int, bytes, str]]) -> AsyncIterator[dict[str, Any]]:
    """A real HTTP server for a client to take for SSM; gives the client's settings."""

    async def handle(_: web.Request) -> web.Response:
        status, body, content_type = next(responses)
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield {"endpoint_url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    finally:
        await runner.cleanup()


async def answered(status: int, body: bytes, content_type: str) -> str:
    async with ssm_that_answers(repeat((status, body, content_type))) as client:
        return await reason(**client)


async def test_an_address_without_a_server(unused_tcp_port: int) -> None:
    text = await reason(endpoint_url=f"http://127.0.0.1:{unused_tcp_port}")
    assert "EndpointConnectionError" in text
    assert "AWS_ENDPOINT_URL" in text


async def test_an_error_of_ssm_itself() -> None:
    text = await answered(400, b'{"__type": "AccessDeniedException", "message": "no"}', JSON)
    assert "AccessDeniedException (allow" in text


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_proxy_that_answers_with_a_page(status: int) -> None:
    text = await answered(status, b"<html>sign in</html>", "text/html")
    assert NAME in text
    assert "empty" not in text


GARBLED = [
    pytest.param(502, "<html>Tür zu</html>".encode("latin-1"), "text/html; charset=latin-1", id="502 Latin-1"),
    pytest.param(200, "<html>Tür zu</html>".encode("latin-1"), "text/html; charset=latin-1", id="200 Latin-1"),
    pytest.param(200, b"<html>sign in</html>", "text/html", id="200 page"),
    *(pytest.param(503, body, JSON, id=f"503 {body.decode()}") for body in (b"[]", b"null", b'"down"', b"5", b"")),
    *(pytest.param(200, body, JSON, id=f"200 {body.decode()}") for body in (b"[]", b"null", b'"down"', b"5", b"")),
    pytest.param(200, b'{"Parameter": []}', JSON, id="parameter is a list"),
    pytest.param(200, b'{"Parameter": null}', JSON, id="parameter is null"),
    pytest.param(200, b'{"Parameter": {"Value": 5}}', JSON, id="value is a number"),
    pytest.param(200, b'{"Parameter": {"Value": null}}', JSON, id="value is null"),
    *(
        pytest.param(200, b'{"Parameter": {"Value": "new", "LastModifiedDate": %s}}' % date, JSON, id=f"date {date!r}")
        for date in (b'"yesterday"', b"[]", b"{}", b"1e999")
    ),
    pytest.param(200, b'{"Parameter": {"Value": "cut o', JSON, id="cut off"),
    pytest.param(200, b"\xff\xfe\x00", JSON, id="no text"),
]


@pytest.mark.parametrize(("status", "body", "content_type"), GARBLED)
async def test_an_invalid_answer_leaves_the_value_and_ends_no_task(status: int, body: bytes, content_type: str) -> None:
    good = (200, b'{"Parameter": {"Value": "good", "LastModifiedDate": 1767225600}}', JSON)
    clock = ManualClock()
    async with (
        ssm_that_answers(chain([good], repeat((status, body, content_type)))) as client,
        SESSION.create_client("ssm", **{**CLIENT, **client}) as ssm,
    ):
        parameter = SsmParameter(ssm, NAME, clock=clock)
        assert await parameter.refresh_now()
        clock.advance(10)
        assert not await parameter.refresh_now()
        assert parameter.value() == "good"
        fresh = SsmParameter(ssm, NAME)
        assert not await fresh.refresh_now()
        assert "it is empty" not in str(fresh.readiness_problem())


async def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    text = await reason(aws_access_key_id=None, aws_secret_access_key=None)
    assert "NoCredentialsError (give the pod a role" in text
