"""Free ports of 127.0.0.1. They are below the system's range of client ports, so that no connection takes them."""

from random import SystemRandom

from local.ports import Ports
from local.supervisor.port_check import is_taken

CANDIDATES = range(12_000, 30_000)
_RANDOM = SystemRandom()
"""No seed of a test makes two workers try the same ports."""


def free_port() -> int:
    """A port that was free just now."""
    while is_taken(port := _RANDOM.choice(CANDIDATES)):
        pass
    return port


def free_port_base() -> int:
    """A port base whose ports were all free just now."""
    while True:
        base = _RANDOM.choice(CANDIDATES)
        if not any(is_taken(port) for port in Ports(base).purposes()):
            return base
