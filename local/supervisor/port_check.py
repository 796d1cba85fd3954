"""Find ports in use before anything starts."""

import errno
import socket
from contextlib import suppress

from local.errors import LocalError
from local.ports import Ports
from local.supervisor.lock import another_base

CONNECT_TIMEOUT_SECONDS = 0.2
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
"""Browsers use either for `localhost`, so that another program on ::1 would receive our requests."""


class PortTakenError(LocalError):
    """At least one port that the stack needs is in use."""


def require_free(ports: Ports) -> None:
    """Check that all ports are free.

    :raises PortTakenError: with each port in use, its purpose, and its process where that is known.
    """
    taken = [(port, purpose) for port, purpose in ports.purposes().items() if is_taken(port)]
    if taken:
        lines = [f"Port {port} is in use{_by(port)}, and is needed for {purpose}." for port, purpose in taken]
        hint = f"Move all ports at once: LOCAL_PORT_BASE={another_base(ports.base)} make up"
        raise PortTakenError("\n".join([*lines, hint]))


def is_taken(port: int) -> bool:
    """Whether another program uses the port."""
    return any(_answers(family, host, port) for family, host in LOOPBACKS) or not _bindable(port)


def _answers(family: int, host: str, port: int) -> bool:
    """Some systems allow binding beside a listener on all addresses, so binding alone is not sufficient."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_TIMEOUT_SECONDS)
            return probe.connect_ex((host, port)) == 0 and not _is_self_connection(probe)
    except OSError:
        return False


def _is_self_connection(probe: socket.socket) -> bool:
    """TCP connects a socket with itself if the system chooses the requested port for its own end."""
    return bool(probe.getsockname()[:2] == probe.getpeername()[:2])


def _bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do, so that closing connections of an earlier run are ignored.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def _by(port: int) -> str:
    owner = owner_of(port)
    return f" by {owner}" if owner else ""


def owner_of(port: int) -> str | None:
    """Return `name (pid N)` of the process that listens; None where it is unknown, such as another user's."""
    import psutil  # rarely needed, and the supervisor uses little memory

    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return f"{process.name()} (pid {process.pid})"
    return None
