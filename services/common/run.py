"""Runs a service: start in order, wait for a stop, fail readiness before the listener closes, stop in reverse order."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
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
from services.common.web.listener import CannotListenError, listen, raise_file_limit
from services.common.web.operations import operations_port

logger = logging.getLogger(__name__)

EXIT_SETTINGS = 2
GARBAGE_THRESHOLDS = (5_000, 10, 10)
"""For the garbage collector. With the default of Python 3.11 (700 new objects) it uses a seventh of the CPU time under
load. Reference counts free nearly everything; objects in cycles are freed later."""
EXIT_SECONDS = 2.0
"""How long an abandoned task or thread, such as a handler that never returns, may delay the end of the process."""


class HasService(Protocol):
    """The settings of any service."""

    @property
    def service(self) -> ServiceSettings: ...


S = TypeVar("S", bound=HasService)


def main(
    read_settings: Callable[[Env], S],
    create_app: Callable[[S, Lifecycle], web.Application],
    *,
    listens: bool = True,
) -> None:
    """Run a service until a signal stops it, and exit with its status.

    :param listens: whether the application serves requests on ``PORT`` (the processor does not).
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
            status = runner.run(_run_and_exit(settings, lifecycle, create_app, listens=listens))
        except BaseException as error:
            if lifecycle.stopping.is_set():
                raise
            _abort(error)
    sys.exit(status)


def _abort(error: BaseException) -> NoReturn:
    """End the process because a handler or library has stopped the event loop or cancelled the service's task.

    There is no cleanup: it would cancel tasks, which would then be recorded as ended normally, and the processor could
    not find the poison pill.
    """
    logger.critical(
        "the service has failed, aborting",
        extra={"action": "stop", "exception": describe_traceback(error)},
    )
    flush_logs()
    os._exit(EXIT_FAILED)


async def _run_and_exit(
    settings: S, lifecycle: Lifecycle, create_app: Callable[[S, Lifecycle], web.Application], *, listens: bool
) -> int:
    """Run, then exit in any case: loop and interpreter would wait for ever for a task or thread that never ends."""
    try:
        status = await _run(settings, lifecycle, create_app, listens=listens)
    except SettingsError as error:  # found at the start, such as a handler that does not exist
        sys.stderr.write(f"{error}\n")
        status = EXIT_SETTINGS
    last_resort = threading.Timer(EXIT_SECONDS, _exit_at_once, (status,))
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
            async with operations_port(service, lifecycle), tracing(service, _component(create_app)):
                await _serve(service, lifecycle, create_app(settings, lifecycle), listens=listens)
        except CannotListenError as error:
            logger.critical(str(error), extra={"action": "start"})
            return EXIT_FAILED
    logger.info("stopped", extra={"action": "stop", "exit_status": lifecycle.exit_status})
    return lifecycle.exit_status


def _component(create_app: Callable[..., web.Application]) -> str:
    """Return the name of the service's package: `ingest` for services.ingest.app."""
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


async def _serve(service: ServiceSettings, lifecycle: Lifecycle, app: web.Application, *, listens: bool) -> None:
    runner = web.AppRunner(app, shutdown_timeout=service.shutdown_grace_seconds)
    try:
        await runner.setup()
        if listens:
            await listen(runner, service.host, service.port, service.allowed_hosts)
        _tune_garbage_collector()
        lifecycle.mark_started()
        logger.info("started", extra={"action": "start", "port": service.port if listens else None})
        try:
            await lifecycle.stopping.wait()
        except asyncio.CancelledError as error:
            _abort(error)
        await _wait_for_load_balancers(service, lifecycle)
    finally:
        await runner.cleanup()
        await lifecycle.background.close()


def _tune_garbage_collector() -> None:
    """Exclude what was loaded at start, mainly the SDKs' models, from all later collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _wait_for_load_balancers(service: ServiceSettings, lifecycle: Lifecycle) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.shutdown_delay_seconds):
            await lifecycle.force_stop.wait()
