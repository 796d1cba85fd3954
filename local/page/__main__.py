"""`python -m local.page`: serve the application on 127.0.0.1 and, with IPv6, on ::1."""

import asyncio
import contextlib
import os
import signal
import sys

from aiohttp import web

from local.errors import LocalError
from local.page.app import create_app
from local.page.settings import Settings
from services.common.web.listener import CannotListenError, listen, raise_file_limit

STOP_TIMEOUT_SECONDS = 2.0


async def listen_on_loopback(runner: web.AppRunner, port: int) -> None:
    """Listen, with the limits of the services, on 127.0.0.1 and on ::1, which browsers also try for `localhost`.

    :raises CannotListenError: when the port is in use.
    """
    await listen(runner, "127.0.0.1", port, setting="PAGE_PORT")
    with contextlib.suppress(CannotListenError):  # a machine without IPv6
        await listen(runner, "::1", port)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(create_app(settings), shutdown_timeout=STOP_TIMEOUT_SECONDS)
    try:
        await runner.setup()
        await listen_on_loopback(runner, settings.port)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    raise_file_limit()
    try:
        asyncio.run(serve(Settings.from_environment(os.environ)))
    except (LocalError, CannotListenError) as error:
        sys.exit(f"Application server: {error}")


if __name__ == "__main__":
    main()
