"""The Momento SDK with an API key of the module's emulator."""

from collections.abc import AsyncIterator

import pytest

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.momento import MomentoEmulator


@pytest.fixture
def key(momento_emulator: MomentoEmulator) -> str:
    return momento_emulator.make_key().v2


@pytest.fixture
async def momento_sdk(momento_emulator: MomentoEmulator, key: str) -> AsyncIterator[MomentoSdk]:
    async with open_momento_sdk(momento_emulator, key) as sdk:
        yield sdk


@pytest.fixture
async def cache(momento_sdk: MomentoSdk) -> str:
    return await momento_sdk.new_cache()
