"""`python -m local.momento`: the Momento emulator on 127.0.0.1."""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process at once: Python would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import uvloop
from aiohttp.http_exceptions import HttpProcessingError

from local.errors import LocalError
from local.momento.calls.dispatch import Service
from local.momento.errors import PortTakenError
from local.momento.server import HOST, emulator, serve_until
from local.momento.settings import InvalidSettingsError, Settings, camel_case
from local.momento.store.item_file import ItemFile
from local.momento.store.persistence import StateFileError, load_state
from local.web_access.access import WebAccess
from services.common.setting_numbers import argument, parse_decimal, parse_whole


class NoRequestBytesFilter(logging.Filter):
    """Drops aiohttp's report of a malformed request: it quotes the invalid header, which may be the credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def configure_logging() -> None:
    """Log the emulator's own failures, never what a client sent."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("aiohttp.server").addFilter(NoRequestBytesFilter())


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    configure_logging()
    values = {camel_case(each.name): getattr(options, each.name) for each in fields(Settings)}
    try:
        with kept_items(options.state_file) as item_file, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            service = Service(load_state(options.state_file), item_file)
            service.settings.change(values)
            runner.run(_serve(service, options.grpc_port, options.web_port, options.listen_host))
    except (InvalidSettingsError, LocalError, PortTakenError, StateFileError) as error:
        print(f"Momento emulator: {error}", file=sys.stderr)  # noqa: T201 -- for the developer
        return 2
    return 0


@contextmanager
def kept_items(state_file: Path | None) -> Iterator[ItemFile | None]:
    """Keep the items of the caches in a file beside the state file, if there is one."""
    if state_file is None:
        yield None
        return
    try:
        item_file = ItemFile(state_file.with_suffix(".items"))
    except (OSError, sqlite3.OperationalError) as error:
        raise StateFileError(f"cannot use the state file {state_file}: {error}") from error
    with closing(item_file):
        yield item_file


async def _serve(service: Service, grpc_port: int, web_port: int, listen_host: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with emulator(service, grpc_port, web_port, listen_host, WebAccess.from_environment(os.environ)) as running:
        print(  # noqa: T201 -- reports readiness
            f"Momento emulator ready: gRPC 127.0.0.1:{running.grpc_port}, gRPC-web http://127.0.0.1:{running.web_port}",
            flush=True,
        )
        await serve_until(stop, running)


_port = argument(parse_whole, most=65_535)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.momento",
        description="Momento emulator for unmodified Momento SDKs, on 127.0.0.1. Each setting can also be "
        "changed at run time (see local/momento/README.md).",
    )
    parser.add_argument("--grpc-port", type=_port, default=8084, help="gRPC; 0 chooses a free one (default 8084)")
    parser.add_argument("--web-port", type=_port, default=8085, help="gRPC-web and admin calls (default 8085)")
    parser.add_argument(
        "--listen-host", default=HOST, help="address to listen on; in a pod 0.0.0.0 (default: only this machine)"
    )
    parser.add_argument(
        "--state-file",
        type=Path,
        help="keeps keys, caches with their items and the validity of tokens across restarts (default: none)",
    )
    for each in fields(Settings):
        option = "--" + each.name.replace("_", "-")
        text = f"{each.metadata['help']} (default {each.default})"
        if isinstance(each.default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=each.default, help=text)
        else:
            parse = parse_whole if isinstance(each.default, int) else parse_decimal
            limits = each.metadata["minimum"], each.metadata["maximum"]
            parser.add_argument(option, type=argument(parse, *limits), default=each.default, help=text)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
