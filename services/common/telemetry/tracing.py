"""Traces, off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set: then nothing of OpenTelemetry is even imported.

Callers need not know which: they open a `span`, which is one that does nothing while tracing is off. A trace goes from
a POST (which continues the caller's ``traceparent``) through the queue, as a message attribute, to the publishing.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import Enum, auto
from types import TracebackType
from typing import Protocol, Self

from services.common.settings import ServiceSettings

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class SpanKind(Enum):
    """Which side of a call a span is; OpenTelemetry's span kinds."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


class Span:
    """A span that does nothing."""

    __slots__ = ()

    @property
    def traceparent(self) -> str | None:
        """How another process continues from here (W3C Trace Context); None while tracing is off."""
        return None

    def set(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes: names, ids and counts; never a token, a key or a payload."""

    def fail(self, reason: str) -> None:
        """Mark the span as failed; `reason` is a short word."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Tracer(Protocol):
    """What makes real spans."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, links: Iterable[str | None], started_ns: int | None
    ) -> Span: ...

    def trace_id(self) -> str | None: ...

    def exemplar(self) -> dict[str, str] | None: ...

    async def close(self) -> None: ...


_OFF = Span()
_tracer: Tracer | None = None


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str | None = None,
    links: Iterable[str | None] = (),
    started_ns: int | None = None,
) -> Span:
    """Return a span to use in a ``with`` statement.

    :param name: bounded: a route or an operation, never an id.
    :param parent: a traceparent from elsewhere; without one the span belongs to the one that it is opened in.
    :param links: traceparents of others that this work was done for, such as the messages of a batch.
    :param started_ns: when it began, epoch nanoseconds, if that was before now.
    """
    return _OFF if _tracer is None else _tracer.span(name, kind, parent, links, started_ns)


def trace_id() -> str | None:
    """Return the id of the trace that we are in, 32 hexadecimal digits."""
    return None if _tracer is None else _tracer.trace_id()


def exemplar() -> dict[str, str] | None:
    """Return what leads from a histogram's bucket to a trace, for ``observe``; None where none is recorded."""
    return None if _tracer is None else _tracer.exemplar()


def is_traceparent(text: str) -> bool:
    """Tell whether `text` is a traceparent of version 00, the only one there is."""
    return _TRACEPARENT.fullmatch(text) is not None


@asynccontextmanager
async def tracing(settings: ServiceSettings, component: str) -> AsyncIterator[None]:
    """Trace for the length of the block, if an endpoint is set, and send what is left at its end.

    :param component: which of our services this is, such as ``ingest``.
    """
    global _tracer  # noqa: PLW0603 — one a process, like the registry of metrics
    if settings.otlp_endpoint is None:
        yield
        return
    # Imported here: up to 14 MB and 0.15 s of CPU that others do not pay.
    from services.common.telemetry.tracing_otlp import start

    _tracer = tracer = start(settings, component)
    try:
        yield
    finally:
        _tracer = None
        await tracer.close()
