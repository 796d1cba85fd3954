"""What a handler returns if it has more to say than a text."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a task: a message for people, and data for programs.

    Together they may have 512 KiB as JSON. For more, store it elsewhere and return its URL.
    """

    message: str
    """The user reads `Finished task: <message>`."""
    data: Any = None
    """Any JSON value: dict with text as keys, list, tuple, str, int of up to 64 bits, finite float, bool or None."""
