"""The client against a real HTTP server and a real Momento emulator."""

from collections.abc import AsyncIterator

import pytest

from notification_api.client import NotificationApi
from tests.support.client.fake_api import FakeApi, fake_api
from tests.support.processes.momento import MomentoEmulator


@pytest.fixture
async def stage(momento_emulator: MomentoEmulator) -> AsyncIterator[FakeApi]:
    async with fake_api(momento_emulator) as stage:
        yield stage
        momento_emulator.change(faults=[], down=False)


@pytest.fixture
async def api(stage: FakeApi) -> AsyncIterator[NotificationApi]:
    async with NotificationApi(stage.url, token="id-1") as api:
        yield api
