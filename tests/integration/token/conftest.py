"""The token service and its dependencies."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.common.momento.calls import MomentoCalls
from services.token.vending import vendor
from tests.support.processes.ministack import MiniStack
from tests.support.processes.momento import MomentoEmulator
from tests.support.served_app import Served
from tests.support.token_service import Backends, open_backends


@pytest.fixture(autouse=True)
def _healed(momento_emulator: MomentoEmulator) -> Iterator[None]:
    yield
    momento_emulator.change(faults=[], down=False, tokensPerSecond=1_000)


@pytest.fixture
async def backends(aws: MiniStack, momento_emulator: MomentoEmulator) -> AsyncIterator[Backends]:
    async with open_backends(aws, momento_emulator) as backends:
        yield backends


@pytest.fixture
async def service(backends: Backends) -> AsyncIterator[Served]:
    async with backends.service() as service:
        yield service


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the deadlines of calls to Momento."""
    monkeypatch.setattr(MomentoCalls.call, "__defaults__", (0.4,))
    monkeypatch.setattr(vendor, "VEND_SECONDS", 0.4)
