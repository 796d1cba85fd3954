"""The errors that a call can end with."""

from dataclasses import dataclass

from grpc import StatusCode


@dataclass
class CallError(Exception):
    """A call fails: `status` and `message` are sent as gRPC status, `err` as the trailer of that name.

    With `http_status` the gRPC-web front answers with that HTTP status instead, as a proxy in between would.
    """

    status: StatusCode
    message: str
    err: str | None = None
    http_status: int | None = None

    def __str__(self) -> str:
        return f"{self.status.name}: {self.message}"


class StreamAborted(CallError):
    """The stream ends without a status, as when the TCP connection drops."""


def unauthenticated(message: str) -> CallError:
    return CallError(StatusCode.UNAUTHENTICATED, message)


def permission_denied() -> CallError:
    return CallError(StatusCode.PERMISSION_DENIED, "Insufficient permissions to perform this operation")


def invalid_argument(message: str) -> CallError:
    return CallError(StatusCode.INVALID_ARGUMENT, message)


def cache_not_found(name: str) -> CallError:
    return CallError(StatusCode.NOT_FOUND, f"Cache with name: {name} does not exist")


def rate_limit_exceeded(what: str) -> CallError:
    """Exceed a rate. The SDKs turn `err` into "Request rate limit exceeded for this account".

    The web SDK reads the message instead ("operations", "subscribers", "request limit"), so each quota has its own.
    """
    return CallError(
        StatusCode.RESOURCE_EXHAUSTED,
        f"Operations rate limit exceeded: {what}",
        "operations_rate_limit_exceeded",
    )


def shutting_down() -> CallError:
    return CallError(StatusCode.UNAVAILABLE, "The emulator is shutting down")


class PortTakenError(Exception):
    """Another process listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on 127.0.0.1 is already in use")
        self.port = port
