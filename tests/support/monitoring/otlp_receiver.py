"""An OTLP collector for tests: a real gRPC server on 127.0.0.1 that stores the spans that it receives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from tests.support.waiting import wait_until


@dataclass(frozen=True)
class SeenSpan:
    """A received span; ids in hexadecimal digits."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: frozenset[tuple[str, str]]
    """Trace and span ids."""
    attributes: dict[str, str | int] = field(hash=False)
    failed: bool


class OtlpReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """The received spans and resources."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[SeenSpan] = []
        self.resources: list[dict[str, str | int]] = []

    def Export(  # noqa: N802 — the service's own name
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        for resource_spans in request.resource_spans:
            resource = _plain(resource_spans.resource.attributes)
            self.resources.append(resource)
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_seen(str(resource["service.name"]), span) for span in scope_spans.spans]
        return ExportTraceServiceResponse()

    def named(self, name: str, trace_id: str | None = None) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name and trace_id in {None, span.trace_id}]

    async def one(self, name: str, trace_id: str | None = None, seconds: float = 15.0) -> SeenSpan:
        """Wait for the first span of that name."""
        await wait_until(lambda: bool(self.named(name, trace_id)), timeout_seconds=seconds)
        return self.named(name, trace_id)[0]


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A receiver on a free port, during the block; synchronous, for a fixture of any scope."""
    receiver, server = OtlpReceiver(), grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()


def _seen(service: str, span: WireSpan) -> SeenSpan:
    return SeenSpan(
        service=service,
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_plain(span.attributes),
        failed=span.status.code == 2,
    )


def _plain(attributes: Any) -> dict[str, str | int]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
