"""Logs: one JSON object a line on standard output, with the ids of the request or task it belongs to.

What is never logged: a token, a key, a payload. Code logs names, ids, counts and reasons only.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from services.common.settings import ServiceSettings

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default={})  # noqa: B039 — never mutated

# Libraries that tell of every call at INFO or DEBUG, payloads and headers included.
_QUIET = ("aiobotocore", "botocore", "aiohttp", "asyncio", "grpc", "urllib3")
# The SDK warns of each failed call before we know whether a retry mends it; our own log says what came of it.
_SILENT = ("momentosdk",)


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add `ids` (such as ``requestId``) to every line that is logged within."""
    token = _context.set({**_context.get(), **ids})
    try:
        yield
    finally:
        _context.reset(token)


class _ContextFormatter(OrjsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data.update(_context.get())
        return super().process_log_record(log_data)


def configure_logging(settings: ServiceSettings) -> None:
    """Send this process's logs to standard output as JSON."""
    formatter = _ContextFormatter(
        ("levelname", "name", "message"),
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
        static_fields={"service": settings.service_name, "stage": settings.stage_name},
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
