"""An application served on a free port of 127.0.0.1, in this process and on this event loop."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import orjson
import pytest
from aiohttp import web

from services.common.aws import clients as aws
from services.common.lifecycle import Lifecycle
from services.common.telemetry.logs import _ContextFormatter
from services.common.web.listener import listen
from services.common.web.request_parser import MAX_HEADER_BYTES
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        loaded: dict[str, Any] = orjson.loads(self.body)
        return loaded


@dataclass(frozen=True)
class Served:
    """A served application and a client for it."""

    app: web.Application
    lifecycle: Lifecycle
    url: str
    session: aiohttp.ClientSession = field(repr=False)
    check: Callable[[str, str, Answer], None] = field(default=lambda _method, _path, _answer: None, repr=False)
    """Fails where an answer to this method and path is not as it should be."""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def ask(self, method: str, path: str, **arguments: Any) -> Answer:
        async with self.session.request(method, self.url + path, **arguments) as answer:
            read = Answer(answer.status, answer.headers, await answer.read())
        self.check(method, path, read)
        return read

    async def ready(self) -> Self:
        """Wait until the service is ready."""
        await wait_until(lambda: not self.lifecycle.readiness_problems())
        return self


@contextlib.asynccontextmanager
async def served_app(
    app: web.Application, lifecycle: Lifecycle, allowed_hosts: frozenset[str] = frozenset()
) -> AsyncIterator[Served]:
    """Serve as `services.common.run` does, but for signals, logs and the operations port."""
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await listen(runner, "127.0.0.1", 0, allowed_hosts)
        lifecycle.mark_started()
        async with aiohttp.ClientSession(max_field_size=MAX_HEADER_BYTES) as session:
            yield Served(app, lifecycle, f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    finally:
        await runner.cleanup()
        await lifecycle.background.close()


@contextlib.contextmanager
def aws_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Make services of this process use a test's `MiniStack.environment` instead of AWS."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        # The rest of the session is kept: loading the SDK's endpoint data takes longer than most tests.
        patch.setattr(aws._session(), "_credentials", None)
        yield


def log_lines(records: list[logging.LogRecord]) -> str:
    """The records of `caplog` in the services' log format, including extra fields and tracebacks."""
    formatter = _ContextFormatter(("levelname", "name", "message"))
    return "\n".join(formatter.format(record) for record in records)
