"""Listens on a port: accepts connections up to a limit, and raises the limit of open files that they need."""

import asyncio
import errno
import resource
from typing import cast

from aiohttp import web

from services.common.memory import MIB, MemoryBudget
from services.common.telemetry.metrics import CONNECTIONS_CLOSED
from services.common.web.connection import CONNECTIONS, Connection
from services.common.web.open_connections import OpenConnections
from services.common.web.problem import PROBLEM_RESPONDER, default_problem_responder

MAX_CONNECTIONS = 2_000
"""About 16 kB of memory each while idle."""
MAX_FILES = 8_192
"""Enough for 2,000 connections on each of two ports. Some systems refuse more than 10,240 (macOS)."""
OTHER_FILES = 200
"""Open files other than the connections of one port: sockets to AWS, logs, libraries."""
_BACKLOG = 1_024


class CannotListenError(OSError):
    """A port cannot be listened on. The message says which and what to do."""


def raise_file_limit() -> None:
    """Raise the soft limit of open files, which often is 1,024, as far as needed and as the hard limit permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _connections_within_file_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_FILES)


async def listen(
    runner: web.AppRunner, host: str, port: int, allowed_hosts: frozenset[str] = frozenset(), *, setting: str = "PORT"
) -> None:
    """Accept connections for the runner's application until the runner's cleanup.

    :param allowed_hosts: values of the Host header that are accepted; empty accepts all.
    :param setting: the environment variable of the port, for the error.
    :raises CannotListenError: when the address is in use or invalid.
    """
    try:
        await _Site(runner, host, port, allowed_hosts).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} on {host} is in use by another process. Free it, or set {setting}."
        else:
            reason = f"Port {port} on {host} cannot be listened on: {error}. Set HOST or {setting}."
        raise CannotListenError(reason) from None
    except UnicodeError:  # a part of the host name is empty or too long
        raise CannotListenError(f"Port {port} cannot be listened on: {host} is not a host name. Set HOST.") from None


class _Site(web.BaseSite):
    def __init__(self, runner: web.AppRunner, host: str, port: int, allowed_hosts: frozenset[str]) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        self._allowed_hosts = allowed_hosts
        self._host = host
        self._port = port
        self._problem_responder = runner.app.get(PROBLEM_RESPONDER, default_problem_responder)
        self._max_by_files = _connections_within_file_limit()
        self._open = OpenConnections(runner.app.get(CONNECTIONS) or MemoryBudget("connections", 8 * MIB))

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self._port, backlog=self._backlog)

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None  # noqa: S101 — BaseSite has checked it
        if not self._open.admit(min(MAX_CONNECTIONS, self._max_by_files)):
            return _RefusedConnection()
        return Connection(server, self._open, self._problem_responder, self._allowed_hosts)


class _RefusedConnection(asyncio.Protocol):
    """A connection beyond the limit, while all others have requests in progress."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        CONNECTIONS_CLOSED.labels("full").inc()
        cast("asyncio.WriteTransport", transport).abort()  # uvloop's class is not a subclass
