"""Free ports of 127.0.0.1. They are below the system's range of client ports, so that no connection takes them."""

import random

from local.ports import Ports
from local.supervisor.port_check import is_taken

CANDIDATES = range(12_000, 30_000)


def free_port() -> int:
    """A port that was free just now."""
    while is_taken(port := random.choice(CANDIDATES)):
        pass
    return port


def free_port_base() -> int:
    """A port base whose ports were all free just now."""
    while True:
        base = random.choice(CANDIDATES)
        if not any(is_taken(port) for port in Ports(base).purposes()):
            return base
