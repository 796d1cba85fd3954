"""Tracing that is off costs nothing, spans end at any error, and traceparents are as the standard writes them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.common.telemetry import tracing
from services.common.telemetry.spans import Span, SpanKind, is_traceparent
from services.common.telemetry.tracing import exemplar, span, trace_id
from services.common.telemetry.tracing_otlp import OtlpTracer

ROOT = Path(__file__).resolve().parents[5]
GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("service", ["token", "ingest", "processor"])
def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(service: str) -> None:
    code = (
        f"import sys, services.{service}.app\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_while_off_every_span_is_the_same_one_that_does_nothing() -> None:
    with span("one", SpanKind.SERVER, parent=GOOD) as one, span("two", links=[GOOD]) as two:
        one.set({"a": 1})
        one.fail("reason")
        assert one is two
        assert one.traceparent is None
        assert trace_id() is None
        assert exemplar() is None


def test_a_span_that_does_nothing_hides_no_error() -> None:
    with pytest.raises(ValueError, match="as it is"), span("one"):
        raise ValueError("as it is")


@pytest.fixture
def ended_spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Tracing switched on; what is returned has the spans that were ended."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", OtlpTracer(provider))
    return exporter


def exits(_: object) -> NoReturn:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("name", "description"),
    [
        (lambda _: "ValueError", "ValueError"),
        (exits, "an object without a name"),
        (lambda _: 5, "an object without a name"),
        (lambda _: "x\udcff", "x?"),  # which no exporter can encode
        (lambda _: "x" * 1_000, "x" * 200),
    ],
    ids=["ordinary", "exits", "no text", "no UTF-8", "long"],
)
def test_whatever_error_ends_a_span_it_is_raised_as_it_is_and_the_span_can_be_exported(
    ended_spans: InMemorySpanExporter, name: Callable[[object], object], description: str
) -> None:
    error: Exception = type("Meta", (type,), {"__name__": property(name)})("Named", (Exception,), {})("a user's text")
    is_raised = False
    try:  # not pytest.raises: pytest itself cannot report such an error
        with span("one"):
            raise error  # noqa: TRY301
    except BaseException as raised:  # noqa: BLE001
        is_raised = raised is error
    assert is_raised
    (ended,) = ended_spans.get_finished_spans()
    assert ended.status.description == description
    assert encode_spans([ended]).SerializeToString()
    assert trace_id() is None


def test_a_span_ends_also_where_its_failure_cannot_be_described(
    ended_spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Span = span("one")
    monkeypatch.setattr(type(opened), "fail", lambda _span, _reason: exits(None))
    with pytest.raises(SystemExit), opened:
        raise ValueError
    assert [ended.name for ended in ended_spans.get_finished_spans()] == ["one"]
    assert trace_id() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.upper(),
        GOOD + "-more",
        GOOD + "\n",
        GOOD.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_an_invalid_traceparent_of_version_00_is_refused(text: str) -> None:
    assert not is_traceparent(text)


@given(trace=st.integers(1, 2**128 - 1), parent=st.integers(1, 2**64 - 1), flags=st.integers(0, 255))
def test_every_traceparent_of_version_00_is_accepted(trace: int, parent: int, flags: int) -> None:
    assert is_traceparent(f"00-{trace:032x}-{parent:016x}-{flags:02x}")
