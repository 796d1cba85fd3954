"""Spans as callers see them, without OpenTelemetry: a `Span` of this module does nothing."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from types import TracebackType
from typing import Protocol, Self

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class SpanKind(Enum):
    """OpenTelemetry's span kinds: the side of a call."""

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
        """The span's id for another process (W3C Trace Context); None while tracing is off."""
        return None

    def set(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes: names, ids and counts; never a token, a key or a payload."""

    def fail(self, reason: str) -> None:
        """Mark the span as failed.

        :param reason: from a bounded set.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Tracer(Protocol):
    """Creates real spans."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, links: Iterable[str | None], started_ns: int | None
    ) -> Span: ...

    def trace_id(self) -> str | None: ...

    def exemplar(self) -> dict[str, str] | None: ...

    async def close(self) -> None: ...


def is_traceparent(text: str) -> bool:
    """Return whether `text` is a traceparent of version 00, the only one so far."""
    return _TRACEPARENT.fullmatch(text) is not None
