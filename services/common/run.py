"""Running a service: start in order, wait, drop readiness before the listener closes, stop in reverse order."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NoReturn, Protocol, TypeVar

import uvloop
from aiohttp import web
from environs import Env

from services.common.error_text import describe_traceback
from services.common.lifecycle import EXIT_FAILED, Lifecycle
from services.common.settings import ServiceSettings, SettingsError, load
from services.common.telemetry.logs import configure_logging, flush_logs
from services.common.telemetry.metrics import BUILD
from services.common.telemetry.tracing import tracing
from services.common.version import VERSION
from services.common.web.connections import ApiSite
from services.common.web.open_connections import raise_file_limit
from services.common.web.operations import create_operations_app

logger = logging.getLogger(__name__)

EXIT_SETTINGS = 2
OPERATIONS_SHUTDOWN_SECONDS = 1.0
GARBAGE_THRESHOLDS = (5_000, 10, 10)
"""How many new objects the garbage collector waits for. At the 700 of Python 3.11 it takes a seventh of the
CPU time under load: what is in flight is looked at again and again. Reference counts free nearly everything; what
is in a cycle waits longer."""
LEAVE_SECONDS = 2.0
"""How long what was given up already, such as a handler that never returns, may hold up the end of the process."""


class HasService(Protocol):
    """Settings of a service, whatever else they hold."""

    @property
    def service(self) -> ServiceSettings: ...


S = TypeVar("S", bound=HasService)


class CannotListen(Exception):
    """A port cannot be listened on; the message says which and what to do."""


def main(
    read_settings: Callable[[Env], S],
    create_app: Callable[[S, Lifecycle], web.Application],
    *,
    listens: bool = True,
) -> None:
    """Run a service until it is told to stop; ends the process with its exit status.

    :param listens: whether the application takes requests on ``PORT`` (the processor does not).
    """
    try:
        settings = load(read_settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_SETTINGS)
    configure_logging(settings.service)
    raise_file_limit()
    lifecycle = Lifecycle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            status = runner.run(_run_and_leave(settings, lifecycle, create_app, listens=listens))
        except SettingsError as error:  # found while the application was built, such as a handler that does not exist
            sys.stderr.write(f"{error}\n")
            status = EXIT_SETTINGS
        except BaseException as error:
            if lifecycle.stopping.is_set():
                raise
            _end_at_once(error)
    sys.exit(status)


def _end_at_once(error: BaseException) -> NoReturn:
    """End the process because code of others has ended the event loop or cancelled the service's own task.

    Without a cleanup: a task that is cancelled reports that it ended in good order, and the processor would never find
    out which one ends its process.
    """
    logger.critical(
        "the service has failed, the process ends at once",
        extra={"action": "stop", "exception": describe_traceback(error)},
    )
    flush_logs()
    os._exit(EXIT_FAILED)


async def _run_and_leave(
    settings: S, lifecycle: Lifecycle, create_app: Callable[[S, Lifecycle], web.Application], *, listens: bool
) -> int:
    """Run, and leave for certain: loop and interpreter would wait for ever for a task or thread that never ends."""
    status = await _run(settings, lifecycle, create_app, listens=listens)
    last_resort = threading.Timer(LEAVE_SECONDS, _exit_at_once, (status,))
    last_resort.daemon = True
    last_resort.start()
    return status


def _exit_at_once(status: int) -> None:
    flush_logs()
    os._exit(status)


async def _run(
    settings: S, lifecycle: Lifecycle, create_app: Callable[[S, Lifecycle], web.Application], *, listens: bool
) -> int:
    service = settings.service
    BUILD.info({"version": VERSION, "service": service.service_name, "stage": service.stage_name})
    with _signals(lifecycle):
        try:
            async with _operations(service, lifecycle), tracing(service, _component(create_app)):
                await _serve(service, lifecycle, create_app(settings, lifecycle), listens=listens)
        except CannotListen as error:
            logger.critical(str(error), extra={"action": "start"})
            return EXIT_FAILED
    logger.info("stopped", extra={"action": "stop", "exit_status": lifecycle.exit_status})
    return lifecycle.exit_status


def _component(create_app: Callable[..., web.Application]) -> str:
    """Name the service by its package: `ingest` for services.ingest.app."""
    return create_app.__module__.split(".")[-2]


@contextlib.contextmanager
def _signals(lifecycle: Lifecycle) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lifecycle.stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _operations(service: ServiceSettings, lifecycle: Lifecycle) -> AsyncIterator[None]:
    runner = web.AppRunner(create_operations_app(lifecycle), shutdown_timeout=OPERATIONS_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        with _named(service.host, service.ops_port, "OPS_PORT"):
            await ApiSite(runner, service.host, service.ops_port, service.allowed_hosts).start()
        yield
    finally:
        await runner.cleanup()


async def _serve(service: ServiceSettings, lifecycle: Lifecycle, app: web.Application, *, listens: bool) -> None:
    runner = web.AppRunner(app, shutdown_timeout=service.shutdown_grace_seconds)
    try:
        await runner.setup()
        if listens:
            with _named(service.host, service.port, "PORT"):
                await ApiSite(runner, service.host, service.port, service.allowed_hosts).start()
        _spare_garbage_collector()
        lifecycle.mark_started()
        logger.info("started", extra={"action": "start", "port": service.port if listens else None})
        try:
            await lifecycle.stopping.wait()
        except asyncio.CancelledError as error:
            _end_at_once(error)
        await _wait_for_load_balancers(service, lifecycle)
    finally:
        await runner.cleanup()
        await lifecycle.background.close()


def _spare_garbage_collector() -> None:
    """Leave what was loaded at start, the SDKs' models above all, out of every collection to come."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _wait_for_load_balancers(service: ServiceSettings, lifecycle: Lifecycle) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.shutdown_delay_seconds):
            await lifecycle.force_stop.wait()


@contextlib.contextmanager
def _named(host: str, port: int, setting: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"Port {port} on {host} is taken by another process. Free it, or set {setting}."
            ) from None
        raise CannotListen(f"Port {port} on {host} cannot be listened on: {error}. Set HOST or {setting}.") from None
    except UnicodeError:  # Python's word for a part of a host name that is empty or too long
        raise CannotListen(f"Port {port} cannot be listened on: {host} is no host name. Set HOST.") from None
