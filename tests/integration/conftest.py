"""Servers that the integration tests share: emulated AWS, the Momento emulator, the local stack, a stage."""

from collections.abc import Iterator

import pytest

from tests.support.processes.local_stack import local_stack as local_stack
from tests.support.processes.ministack import MiniStack, ministack_process
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process
from tests.support.processor.stage import processor_servers as processor_servers
from tests.support.processor.stage import stage as stage


@pytest.fixture(scope="session")
def aws() -> Iterator[MiniStack]:
    """Emulated AWS; a test that needs an empty account creates one with `new_account_id`."""
    with ministack_process() as running:
        yield running


@pytest.fixture(scope="module")
def momento_emulator() -> Iterator[MomentoEmulator]:
    """An emulator of the module's own, so that its settings and its counts are not those of another module."""
    with momento_emulator_process() as running:
        yield running
