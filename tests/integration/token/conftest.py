"""The token service and its dependencies."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.common.momento.calls import MomentoCalls
from services.token import vendor
from tests.support.aws_session import SESSION
from tests.support.identity import jwks_server
from tests.support.momento.clients import open_momento_sdk
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.processes.momento import MomentoEmulator
from tests.support.served_app import Served
from tests.support.token_service import Backends


@pytest.fixture(autouse=True)
def _healed(momento_emulator: MomentoEmulator) -> Iterator[None]:
    yield
    momento_emulator.change(faults=[], down=False, tokensPerSecond=1_000)


@pytest.fixture
async def backends(aws: MiniStack, momento_emulator: MomentoEmulator) -> AsyncIterator[Backends]:
    account_id, key = new_account_id(), momento_emulator.make_key()
    async with (
        jwks_server() as jwks,
        open_momento_sdk(momento_emulator, momento_emulator.make_key().v2) as sdk,
        SESSION.create_client("ssm", **aws.client_settings(account_id)) as ssm,
    ):
        backends = Backends(aws, momento_emulator, jwks, sdk, ssm, key, account_id, await sdk.new_cache())
        await backends.store_key(key.v1)
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
