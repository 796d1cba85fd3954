"""What reaches MiniStack: it takes an Authorization header that it does not know for its root user's."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from local.aws.guard import Guard, Message
from local.aws.sqs_delay import SQS_DELAY_PATH, SqsDelay
from local.web_access.access import WebAccess

SECRET = "the-secret-of-this-run"
KEY_SET = "/us-east-1_pool/.well-known/jwks.json"
SIGNED = b"AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=x"
SIGN_UP = (b"x-amz-target", b"AWSCognitoIdentityProviderService.SignUp")


async def passed(method: str, path: str, *headers: tuple[bytes, bytes]) -> Message | None:
    """The request as MiniStack gets it, or None if the guard answers it."""
    got: list[Message] = []

    async def app(scope: Message, _receive: Any, _send: Any) -> None:
        got.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        pass

    host = (b"host", b"localhost:4566")
    scope = {"type": "http", "method": method, "path": path, "server": ("127.0.0.1", 4566), "headers": [host, *headers]}
    await Guard(app, WebAccess(), SECRET)(scope, receive, send)
    return got[0] if got else None


@pytest.mark.parametrize("byte", [b"\xa0", b"\x85", b"\x1c", b"\x1f", b"\xe2\x80\x80", b"x"])
async def test_a_signature_after_another_byte_is_invalid(byte: bytes) -> None:
    assert await passed("POST", "/", (b"authorization", SIGNED)) is not None
    assert await passed("POST", "/", (b"authorization", byte + SIGNED)) is None


@pytest.mark.parametrize("path", [KEY_SET, "/us-east-1_pool/.well-known/openid-configuration", "/_ministack/health"])
@pytest.mark.parametrize("authorization", [b"Bearer x", b"Basic x", b"AWS test:x", b"x Credential=test/x", SIGNED])
async def test_an_open_path_is_served_without_authorization(path: str, authorization: bytes) -> None:
    scope = await passed("GET", path, (b"Authorization", authorization))
    assert scope is not None
    assert scope["headers"][1:] == ([(b"Authorization", authorization)] if authorization == SIGNED else [])
    for method in ("POST", "PUT", "DELETE", "PATCH", "get"):
        assert await passed(method, path, (b"authorization", authorization)) is None
        assert await passed(method, path) is None


async def test_the_secret_of_the_run_is_not_forwarded() -> None:
    scope = await passed("GET", "/_ministack/ses/messages", (b"authorization", f"Bearer {SECRET}".encode()))
    assert scope is not None
    assert scope["headers"] == [(b"host", b"localhost:4566")]


async def test_an_unsigned_call_is_forwarded_without_authorization() -> None:
    assert await passed("POST", "/", SIGN_UP) is not None
    assert await passed("POST", "/", SIGN_UP, (b"authorization", b"Bearer x")) is None
    preflight = await passed("OPTIONS", "/", (b"authorization", b"Bearer x"))
    assert preflight is not None
    assert preflight["headers"] == [(b"host", b"localhost:4566")]


async def test_paths_that_the_system_does_not_use_are_rejected() -> None:
    for method in ("GET", "POST"):
        assert await passed(method, "/oauth2/token") is None


async def switched(guard: Guard, method: str, query: bytes, authorization: str) -> tuple[int, bytes]:
    """The guard's own answer to a call of the switch of SQS."""
    sent: list[Message] = []

    async def app(_scope: Message, _receive: Any, _send: Any) -> None:
        raise AssertionError

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost:4566"), (b"authorization", authorization.encode())]
    scope = {"type": "http", "method": method, "path": SQS_DELAY_PATH, "query_string": query, "headers": headers}
    await replace(guard, app=app)({**scope, "server": ("127.0.0.1", 4566)}, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.fixture
def guard() -> Guard:
    async def app(_scope: Message, _receive: Any, _send: Any) -> None: ...

    return Guard(app, WebAccess(), SECRET)


async def test_the_delay_of_sqs_is_set_and_shown(guard: Guard) -> None:
    secret = f"Bearer {SECRET}"
    assert await switched(guard, "GET", b"", secret) == (200, b'{"seconds": 0.0}')
    assert await switched(guard, "PUT", b"seconds=2.5", secret) == (200, b'{"seconds": 2.5}')
    assert await switched(guard, "GET", b"", secret) == (200, b'{"seconds": 2.5}')


@pytest.mark.parametrize("query", [b"", b"seconds=", b"seconds=-1", b"seconds=100", b"seconds=1e1", b"seconds=1&x=1"])
async def test_an_invalid_delay_changes_nothing(guard: Guard, query: bytes) -> None:
    assert (await switched(guard, "PUT", query, f"Bearer {SECRET}"))[0] == 400
    assert guard.sqs_delay.seconds == 0


@pytest.mark.parametrize("authorization", ["", "Bearer x", SIGNED.decode()])
async def test_the_delay_of_sqs_needs_the_secret_of_the_run(guard: Guard, authorization: str) -> None:
    for method in ("GET", "PUT", "POST"):
        assert (await switched(guard, method, b"seconds=2", authorization))[0] == 403
    assert (await switched(guard, "POST", b"seconds=2", f"Bearer {SECRET}"))[0] == 403
    assert guard.sqs_delay.seconds == 0


@pytest.mark.parametrize(("service", "is_delayed"), [("sqs", True), ("ssm", False), ("sqs/aws4_request/ssm", False)])
async def test_only_calls_of_sqs_are_delayed(service: str, is_delayed: bool) -> None:
    delay = SqsDelay()
    assert delay.set(b"seconds=60")
    authorization = SIGNED.decode().replace("/sqs/", f"/{service}/")
    waiting = asyncio.ensure_future(delay.wait(authorization))
    await asyncio.wait([waiting], timeout=0.05)
    assert waiting.done() is not is_delayed
    waiting.cancel()
