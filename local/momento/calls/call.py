"""A call as both fronts hand it over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Caller:
    """From the call's metadata: the raw credential, and the cache that cache calls name there."""

    token: str
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A unary method: its path on the wire, the class of its request, and what carries it out.

    `run(request, credential, cache)` returns the answer or raises `CallError`. The credential is None, and `run` finds
    it, only where it travels in the request's body.
    """

    path: str
    request_type: Any
    run: Callable[[Any, Any, str], Message]
    authenticated: bool = True

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]
