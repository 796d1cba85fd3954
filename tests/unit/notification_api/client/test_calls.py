"""Calls over a real HTTP server: retries, the id token, and what is said about answers that are not success."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from notification_api.client import (
    NotificationApi,
    NotificationApiError,
    NotTheApiError,
    ServiceError,
    SignedOutError,
    UnreachableError,
)
from notification_api.client.errors import IdTokenError
from notification_api.client.id_tokens import TokenSource

pytestmark = pytest.mark.timeout(20)


class Service:
    """Answers in order, and the last answer for ever. None drops the connection."""

    def __init__(self, *answers: web.Response | None) -> None:
        self._answers = list(answers)
        self.requests: list[web.Request] = []
        self.bodies: list[Any] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.json() if request.can_read_body else None)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return _copy(answer)

    def headers(self, name: str) -> list[str | None]:
        return [request.headers.get(name) for request in self.requests]


def _copy(answer: web.Response) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


@asynccontextmanager
async def calling(
    *answers: web.Response | None,
    token: TokenSource = "id-1",  # noqa: S107 — not a secret
) -> AsyncIterator[tuple[NotificationApi, Service]]:
    service = Service(*answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with TestServer(app) as server:
        service.url = str(server.make_url("")).rstrip("/")
        async with NotificationApi(service.url, token=token) as api:
            yield api, service


def accepted() -> web.Response:
    return web.json_response({"taskId": "t-1"}, status=202)


def problem(status: int, detail: str = "refused", **headers: str) -> web.Response:
    body = {"type": "urn:test:x", "title": "x", "status": status, "detail": detail, "requestId": "r-1"}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


async def test_a_task_has_a_type_any_data_and_options() -> None:
    async with calling(accepted()) as (api, service):
        assert (await api.submit("default", "x")).id == "t-1"
        await api.submit("report", {"month": 5}, delay_seconds=0, ttl_seconds=60, idempotency_key="mine")
    assert service.bodies == [
        {"type": "default", "data": "x"},
        {"type": "report", "data": {"month": 5}, "delaySeconds": 0, "ttlSeconds": 60},
    ]
    first, second = service.headers("Idempotency-Key")
    assert first is not None
    assert len(first) == 32
    assert second == "mine"


@pytest.mark.parametrize("failure", [problem(429), problem(503), problem(500), problem(408), None])
async def test_every_try_to_submit_has_the_same_key(failure: web.Response | None) -> None:
    async with calling(failure, failure, accepted()) as (api, service):
        assert (await api.submit("default", "x")).id == "t-1"
    assert len(set(service.headers("Idempotency-Key"))) == 1
    assert len(service.requests) == 3


async def test_no_try_is_made_before_the_time_that_the_service_names() -> None:
    async with calling(problem(503, **{"Retry-After": "1"}), accepted()) as (api, _):
        started = asyncio.get_running_loop().time()
        await api.submit("default", "x")
        assert asyncio.get_running_loop().time() - started >= 1.0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_request"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "conflict"),
        (410, "gone"),
        (413, "invalid_request"),
    ],
)
async def test_a_refusal_is_not_tried_again_and_has_all_that_the_service_says(status: int, code: str) -> None:
    async with calling(problem(status, "Send `data`.")) as (api, service):
        with pytest.raises(ServiceError, match=f"/task was answered {status}: Send `data`") as refused:
            await api.submit("default", None)
    error = refused.value
    assert (error.status, error.code, error.detail, error.request_id) == (status, code, "Send `data`.", "r-1")
    assert error.type == "urn:test:x"
    assert not error.retryable
    assert len(service.requests) == 1


async def test_a_service_that_is_busy_for_longer_than_the_call_may_take_is_an_error_at_once() -> None:
    async with calling(problem(429, **{"Retry-After": "3600"})) as (api, service):
        with pytest.raises(ServiceError) as refused:
            await api.get_task("t")
    assert (refused.value.code, refused.value.retryable) == ("rate_limited", True)
    assert refused.value.retry_after_seconds == 3600
    assert len(service.requests) == 1


async def test_nobody_answering_is_an_error_with_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notification_api.client.retry.MAX_TRIES", 2)
    url = f"http://127.0.0.1:{unused_port()}"
    async with NotificationApi(url, token="id-1") as api:
        with pytest.raises(UnreachableError, match=f"GET {url}/task/t failed") as unreachable:
            await api.get_task("t")
    assert (unreachable.value.code, unreachable.value.retryable) == ("network", True)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<!doctype html><title>Log in</title>", content_type="text/html"),
        web.Response(text="<html>not found</html>", content_type="text/html", status=404),
        web.Response(status=302, headers={"Location": "https://login.test/"}),
        web.Response(text="[]", content_type="application/json"),
        web.Response(text="{}", content_type="application/json"),
        web.Response(text="{", content_type="application/json"),
    ],
)
async def test_an_answer_of_something_else_names_the_url(answer: web.Response) -> None:
    async with calling(answer) as (api, service):
        with pytest.raises(
            NotTheApiError, match=rf"GET {service.url}/task/t was answered \d+ .*Check the URL"
        ) as wrong:
            await api.get_task("t")
    assert (wrong.value.code, wrong.value.status, wrong.value.retryable) == ("not_the_api", answer.status, False)
    assert len(service.requests) == 1


async def test_the_time_that_a_gateway_names_is_respected_too() -> None:
    busy = web.Response(text="<html>busy</html>", content_type="text/html", status=503, headers={"Retry-After": "3600"})
    async with calling(busy) as (api, service):
        with pytest.raises(NotTheApiError) as refused:
            await api.get_task("t")
    assert refused.value.retry_after_seconds == 3600
    assert len(service.requests) == 1


async def test_a_gateway_that_is_briefly_down_is_tried_again() -> None:
    gateway = web.Response(text="<html>bad gateway</html>", content_type="text/html", status=502)
    async with calling(gateway, accepted()) as (api, _):
        assert (await api.submit("default", "x")).id == "t-1"


async def test_ids_are_quoted_in_paths() -> None:
    async with calling(web.json_response({"taskId": "a/b", "status": "running"})) as (api, service):
        assert (await api.get_task("a/b?c")).status == "running"
    assert service.requests[0].raw_path == "/task/a%2Fb%3Fc"


async def test_a_token_given_as_text_that_has_expired_is_a_clear_error() -> None:
    async with calling(problem(401)) as (api, service):
        with pytest.raises(SignedOutError, match=r"has expired.*give a function") as refused:
            await api.history()
    assert (refused.value.code, refused.value.status, refused.value.retryable) == ("signed_out", 401, False)
    assert len(service.requests) == 1


def renewing(kind: str, tokens: list[str]) -> Callable[[], Any]:
    async def asynchronous() -> str:
        return tokens.pop(0)

    kinds: dict[str, Callable[[], Any]] = {
        "plain": lambda: tokens.pop(0),
        "coroutine": asynchronous,
        "lambda": lambda: asynchronous(),  # noqa: PLW0108 — the coroutine is made in a thread
    }
    return kinds[kind]


@pytest.mark.parametrize("kind", ["plain", "coroutine", "lambda"])
async def test_a_refused_token_is_renewed_once(kind: str) -> None:
    token = renewing(kind, ["old\n", "new"])
    async with calling(problem(401), accepted(), token=token) as (api, service):
        await api.submit("default", "x")
        await api.submit("default", "y")
    assert service.headers("Authorization") == ["Bearer old", "Bearer new", "Bearer new"]


async def test_a_new_token_that_is_refused_too_ends_it() -> None:
    async with calling(problem(401), token=renewing("plain", ["a", "b", "c"])) as (api, service):
        with pytest.raises(SignedOutError, match="and so was a new one"):
            await api.history()
    assert service.headers("Authorization") == ["Bearer a", "Bearer b"]


async def test_calls_that_are_refused_together_ask_for_one_new_token() -> None:
    tokens = ["old", "new"]
    async with calling(problem(401), problem(401), problem(401), accepted(), token=renewing("plain", tokens)) as (
        api,
        service,
    ):
        await asyncio.gather(*(api.submit("default", number) for number in range(3)))
    assert tokens == []
    assert service.headers("Authorization").count("Bearer new") == 3


@pytest.mark.parametrize(
    ("token", "message"), [(lambda: 1 / 0, "failed: ZeroDivisionError"), (lambda: None, "returned NoneType")]
)
async def test_a_function_for_tokens_that_fails_is_named(
    token: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notification_api.client.retry.MAX_TRIES", 1)
    async with calling(accepted(), token=token) as (api, service):
        with pytest.raises(IdTokenError, match=message):
            await api.submit("default", "x")
    assert service.requests == []


@pytest.mark.parametrize("token", ["", " \n"])
def test_an_empty_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="id token is empty"):
        NotificationApi("https://api.example.com", token=token)


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:8085", "ftp://x", "http://x:y"])
def test_an_address_of_an_emulator_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"must be like http://localhost:8085|Port could not"):
        NotificationApi("https://api.example.com", token="id-1", momento_endpoint=endpoint)


@pytest.mark.parametrize("url", ["", "/api", "localhost:8080", "ftp://x", "https://x?y", "https://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be like"):
        NotificationApi(url, token="id-1")


async def test_the_client_has_to_be_opened() -> None:
    with pytest.raises(RuntimeError, match="Open the client first"):
        await NotificationApi("http://127.0.0.1:9", token="id-1").history()


async def test_data_that_is_not_json_is_the_callers_error() -> None:
    async with calling(accepted()) as (api, _):
        with pytest.raises(ValueError, match="Out of range float"):
            await api.submit("default", float("nan"))


async def test_a_call_ends_after_its_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notification_api.client.retry.TOTAL_SECONDS", 0.5)
    async with calling(problem(503)) as (api, _):
        started = asyncio.get_running_loop().time()
        with pytest.raises(NotificationApiError):
            await api.get_task("t")
        assert asyncio.get_running_loop().time() - started < 2
