"""Ports and files of the stacks that these tests start."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from local.plan import ROOT
from local.ports import Ports
from tests.support.ports import free_port_base


@pytest.fixture(scope="module")
def new_ports() -> Iterator[Callable[[], Ports]]:
    """The ports of a stack that the test starts; its files are deleted at the end."""
    used: list[Ports] = []

    def new() -> Ports:
        used.append(Ports(free_port_base()))
        return used[-1]

    yield new
    for ports in used:
        shutil.rmtree(ports.state_folder(ROOT), ignore_errors=True)
