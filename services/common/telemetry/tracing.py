"""Tracing, off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set; OpenTelemetry is imported only then.

Callers open a `span` in both cases; it does nothing while tracing is off. A trace continues the ``traceparent`` of a
POST and passes through the queue, as a message attribute, to the publication of the notification.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from services.common.settings import ServiceSettings
from services.common.telemetry.spans import Span, SpanKind, Tracer

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

    :param name: a route or an operation, never an id.
    :param parent: a traceparent from another process; by default the current span is the parent.
    :param links: traceparents of related work, such as the messages of a batch.
    :param started_ns: the start, epoch nanoseconds; by default now.
    """
    return _OFF if _tracer is None else _tracer.span(name, kind, parent, links, started_ns)


def trace_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits."""
    return None if _tracer is None else _tracer.trace_id()


def exemplar() -> dict[str, str] | None:
    """Return an exemplar for ``observe``: it links a histogram's bucket to the current trace. None without a trace."""
    return None if _tracer is None else _tracer.exemplar()


@asynccontextmanager
async def tracing(settings: ServiceSettings, component: str) -> AsyncIterator[None]:
    """Trace during the block if an endpoint is set; send the remaining spans at its end.

    :param component: the service, such as ``ingest``.
    """
    global _tracer  # noqa: PLW0603 — one per process, like the registry of metrics
    if settings.otlp_endpoint is None:
        yield
        return
    # Imported here since it costs up to 14 MB and 0.15 s of CPU time.
    from services.common.telemetry.tracing_otlp import start

    _tracer = tracer = start(settings, component)
    try:
        yield
    finally:
        _tracer = None
        await tracer.close()
