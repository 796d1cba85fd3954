"""`python -m local.page`: serve the application on 127.0.0.1 and, with IPv6, on ::1."""

import os
import socket
import sys
from collections.abc import Iterator

from aiohttp import web

from local.errors import LocalError
from local.page.app import create_app
from local.page.settings import Settings

STOP_TIMEOUT_SECONDS = 2.0


def loopback_sockets(port: int) -> Iterator[socket.socket]:
    """Listen on 127.0.0.1 and, if the machine has IPv6, on ::1, which browsers also try for `localhost`."""
    yield _listener(socket.AF_INET, "127.0.0.1", port)
    try:
        yield _listener(socket.AF_INET6, "::1", port)
    except OSError:
        return


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def main() -> None:
    try:
        settings = Settings.from_environment(os.environ)
    except LocalError as error:
        sys.exit(f"Application server: {error}")
    web.run_app(
        create_app(settings),
        sock=list(loopback_sockets(settings.port)),
        access_log=None,
        print=None,
        shutdown_timeout=STOP_TIMEOUT_SECONDS,
    )


if __name__ == "__main__":
    main()
