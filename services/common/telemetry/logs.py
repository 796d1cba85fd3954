"""Logs: one JSON object a line on standard output, with the ids of the request or task it belongs to.

What is never logged: a token, a key, a payload. Code logs names, ids, counts and reasons only.
"""

import io
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError
from pythonjsonlogger.orjson import OrjsonFormatter

from services.common.error_text import describe_traceback, type_name
from services.common.settings import ServiceSettings
from services.common.telemetry.log_writer import LogWriter
from services.common.telemetry.tracing import trace_id

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default={})  # noqa: B039 — never mutated

# Libraries that tell of every call at INFO or DEBUG, payloads and headers included.
_QUIET = ("aiobotocore", "botocore", "aiohttp", "asyncio", "grpc", "urllib3")
# The SDK warns of each failed call before we know whether a retry mends it; our own log says what came of it.
_SILENT = ("momentosdk",)


class log_context:  # noqa: N801 — read as the verb of a ``with`` statement; a generator would cost twice as much
    """Add `ids` (such as ``requestId``) to every line that is logged within."""

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: str) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(), **self._ids})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


class _ContextFormatter(OrjsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 — an argument's own method raised; the line must not be lost
            record = logging.makeLogRecord({**record.__dict__, "msg": _unformatted(record, error), "args": None})
            return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 — logging's name
        return describe_traceback(ei[1]) if ei[1] is not None else "no exception"

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data.update(_context.get())
        if (trace := trace_id()) is not None:
            log_data["traceId"] = trace
        return super().process_log_record(log_data)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:  # orjson refuses lone surrogates, which headers and file names of others may hold
            return json.dumps(log_data, default=str)


def _unformatted(record: logging.LogRecord, error: Exception) -> str:
    return f"{record.msg} (its values cannot be formatted: {type_name(error)})"


def configure_logging(settings: ServiceSettings) -> None:
    """Send this process's logs to standard output as JSON; to standard error where standard output is closed."""
    formatter = _ContextFormatter(
        ("levelname", "name", "message"),
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
        static_fields={"service": settings.service_name, "stage": settings.stage_name},
    )
    if isinstance(sys.stdout, io.TextIOWrapper):  # a handler's `print` writes whole lines, never amid one of ours
        sys.stdout.reconfigure(line_buffering=True, write_through=False)
    handler = LogWriter(_open_output())
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    quiet_libraries()


def _open_output() -> int:
    """Return a descriptor that is open. A closed one has no stream, and its number may become that of a connection."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            return stream.fileno()
    return os.open(os.devnull, os.O_WRONLY)


def flush_logs() -> None:
    """Write what is queued, before the process ends at once. Waits for a second at most."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def quiet_libraries() -> None:
    """Keep out of our logs what libraries would tell."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.server").addFilter(_is_no_bad_request)


def _is_no_bad_request(record: logging.LogRecord) -> bool:
    """Pass over requests that are no HTTP: aiohttp quotes them, tokens included, and anybody can send any number."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
