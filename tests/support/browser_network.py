"""Faults of the whole network at once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.browser_chromium import Network


@contextmanager
def cut_off(network: Network) -> Iterator[None]:
    """The browser reaches no server for the length of the block."""
    with ExitStack() as cuts:
        for proxy in network.all:
            cuts.enter_context(proxy.cut())
        yield
