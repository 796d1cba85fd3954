"""Traces by the OpenTelemetry SDK, sent in batches over OTLP/gRPC. Imported only where tracing is switched on.

The SDK's own variables hold (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_MAX_QUEUE_SIZE of 2,048 spans,
OTEL_RESOURCE_ATTRIBUTES …). A collector that is away costs spans, never a request: the queue is bounded, and drops.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Iterable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.common.error_text import type_name
from services.common.settings import ServiceSettings
from services.common.telemetry.tracing import Span, SpanKind, is_traceparent
from services.common.version import VERSION

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""How long the last spans may take; a pod's grace leaves five seconds after the service's own."""

_KINDS = {kind: trace.SpanKind[kind.name] for kind in SpanKind}


def start(settings: ServiceSettings, component: str) -> "OtlpTracer":
    """Begin to trace; a task handler's own OpenTelemetry calls join in."""
    ours = {
        "service.namespace": settings.service_name,
        "service.name": component,
        "service.version": VERSION,
        "service.instance.id": os.environ.get("HOSTNAME") or socket.gethostname(),
        "deployment.environment.name": settings.stage_name,
    }
    resource = Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    trace.set_tracer_provider(provider)
    return OtlpTracer(provider)


class OtlpTracer:
    """Makes spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("notification-api", VERSION)

    def span(
        self, name: str, kind: SpanKind, parent: str | None, links: Iterable[str | None], started_ns: int | None
    ) -> Span:
        """Return a span that begins now, or did at `started_ns`."""
        above = _remote(parent)
        linked = [trace.Link(one) for one in map(_remote, links) if one is not None]
        return _OtlpSpan(
            self._tracer.start_span(
                name,
                None if above is None else trace.set_span_in_context(trace.NonRecordingSpan(above)),
                _KINDS[kind],
                links=linked,
                start_time=started_ns,
            )
        )

    def trace_id(self) -> str | None:
        """Return the id of the trace that we are in."""
        current = trace.get_current_span().get_span_context()
        return trace.format_trace_id(current.trace_id) if current.is_valid else None

    def exemplar(self) -> dict[str, str] | None:
        """Name the trace, if it is one that is kept."""
        current = trace.get_current_span().get_span_context()
        return {"trace_id": trace.format_trace_id(current.trace_id)} if current.trace_flags.sampled else None

    async def close(self) -> None:
        """Send what waits, for a moment at most. A thread that hangs in the exporter must not hold up the end."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="tracing-close", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await done.wait()
        except TimeoutError:
            logger.warning("the last spans could not be sent", extra={"action": "tracing"})


class _OtlpSpan(Span):
    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[context.Context] | None = None

    @property
    def traceparent(self) -> str:
        here = self._span.get_span_context()
        return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"

    def set(self, attributes: Mapping[str, str | int]) -> None:
        self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, reason)

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._token is not None:
                context.detach(self._token)
            if kind is not None and issubclass(kind, Exception):
                self.fail(type_name(error))  # not its text, which may quote what a user sent
        finally:
            self._span.end()


def _remote(traceparent: str | None) -> trace.SpanContext | None:
    """Read a traceparent; None for one that cannot be read."""
    if traceparent is None or not is_traceparent(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
    )
