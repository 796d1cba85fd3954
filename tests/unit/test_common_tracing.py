"""Tracing that is off costs nothing; traceparents are taken only as the standard writes them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.tracing import Kind, exemplar, is_traceparent, span, trace_id

ROOT = Path(__file__).resolve().parents[2]
GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("service", ["token", "ingest", "processor"])
def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(service: str) -> None:
    code = (
        f"import sys, services.{service}.app\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_while_off_every_span_is_the_same_one_that_does_nothing() -> None:
    with span("one", Kind.SERVER, parent=GOOD) as one, span("two", links=[GOOD]) as two:
        one.set({"a": 1})
        one.fail("reason")
        assert one is two
        assert one.traceparent is None
        assert trace_id() is None
        assert exemplar() is None


def test_a_span_that_does_nothing_hides_no_error() -> None:
    with pytest.raises(ValueError, match="as it is"), span("one"):
        raise ValueError("as it is")


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
def test_what_is_no_traceparent_of_version_00_is_refused(text: str) -> None:
    assert not is_traceparent(text)


@given(trace=st.integers(1, 2**128 - 1), parent=st.integers(1, 2**64 - 1), flags=st.integers(0, 255))
def test_every_traceparent_of_version_00_is_taken(trace: int, parent: int, flags: int) -> None:
    assert is_traceparent(f"00-{trace:032x}-{parent:016x}-{flags:02x}")
