"""What the emulator logs: its own failures, never what a client sent."""

import logging

from aiohttp.http_exceptions import HttpProcessingError


class NoRequestBytes(logging.Filter):
    """Drops aiohttp's report of a malformed request: it quotes the header at fault, which may be the credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def configure_logging() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("aiohttp.server").addFilter(NoRequestBytes())
