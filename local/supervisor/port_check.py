"""Find taken ports before anything starts."""

import errno
import socket

from local.errors import LocalError
from local.ports import Ports
from local.supervisor.lock import another_base
from local.supervisor.owner import owner_of

CONNECT_WITHIN_SECONDS = 0.2
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
"""Browsers take `localhost` for either, so a stranger on ::1 would be talked to in our place."""


class PortTakenError(LocalError):
    """At least one port that the stack needs is in use."""


def require_free(ports: Ports) -> None:
    """Raise PortTakenError, naming each taken port, what it is for, and who has it where that can be told."""
    taken = [(port, purpose) for port, purpose in ports.purposes().items() if is_taken(port)]
    if taken:
        lines = [f"Port {port} is taken, and is needed for {purpose}{_by(port)}." for port, purpose in taken]
        hint = f"Move all ports at once: LOCAL_PORT_BASE={another_base(ports.base)} make up"
        raise PortTakenError("\n".join([*lines, hint]))


def is_taken(port: int) -> bool:
    return any(_answers(family, host, port) for family, host in LOOPBACKS) or not _bindable(port)


def _answers(family: int, host: str, port: int) -> bool:
    """Some systems let one bind beside a listener on all addresses, so binding alone proves nothing."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_WITHIN_SECONDS)
            return probe.connect_ex((host, port)) == 0 and not _talks_to_itself(probe)
    except OSError:
        return False


def _talks_to_itself(probe: socket.socket) -> bool:
    """TCP connects a socket with itself when the system happens to choose the asked port as its own."""
    return bool(probe.getsockname()[:2] == probe.getpeername()[:2])


def _bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do it, so that closing connections of an earlier run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def _by(port: int) -> str:
    owner = owner_of(port)
    return f"; it is held by {owner}" if owner else ""
