"""A call, independent of the front that received it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Caller:
    """The call's metadata: the raw credential, and the cache that cache calls name there."""

    token: str
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A unary method: its path on the wire, the class of its request, and its implementation.

    `run(request, credential, cache)` returns the response or raises `CallError`. The credential is None where the
    request's body carries it; `run` authenticates it then.
    """

    path: str
    request_type: Any
    run: Callable[[Any, Any, str], Message]
    authenticated: bool = True

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]
