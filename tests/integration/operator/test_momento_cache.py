"""A stage's cache through the unmodified Momento SDK, against the emulator."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from momento import CacheClientAsync
from momento.config import Configurations
from momento.responses import ListCaches

from k8s.operator.resources.clients import Clients
from k8s.operator.resources.errors import NotOwnedError, ResourceUnavailable
from k8s.operator.resources.stage import delete_stage, provision_stage
from notification_api import PermanentError
from tests.support.operator.aws_account import AwsAccount, spec_of
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process


@pytest.fixture(scope="module")
def emulator() -> Iterator[MomentoEmulator]:
    with momento_emulator_process() as running:
        yield running


@pytest.fixture
async def caches(emulator: MomentoEmulator) -> AsyncIterator[CacheClientAsync]:
    async with _caches(emulator, emulator.make_key().v2) as client:
        yield client


@asynccontextmanager
async def _caches(emulator: MomentoEmulator, key: str) -> AsyncIterator[CacheClientAsync]:
    configuration = Configurations.Laptop.v1()
    async with CacheClientAsync(configuration, emulator.credentials(key), timedelta(hours=1)) as client:
        yield client


def _through(aws_account: AwsAccount, caches: CacheClientAsync) -> Clients:
    return replace(aws_account.clients, caches=caches)


async def _names(caches: CacheClientAsync) -> list[str]:
    answer = await caches.list_caches()
    assert isinstance(answer, ListCaches.Success)
    return [cache.name for cache in answer.caches]


async def test_a_cache_is_created_kept_and_deleted(aws_account: AwsAccount, caches: CacheClientAsync) -> None:
    spec = spec_of(stage_name="whole-life")

    outputs = await provision_stage(_through(aws_account, caches), spec)
    assert outputs.cache_name in await _names(caches)

    aws_account.calls.reset()
    assert await provision_stage(_through(aws_account, caches), spec) == outputs
    assert aws_account.calls.writes == []

    await delete_stage(_through(aws_account, caches), spec)
    assert outputs.cache_name not in await _names(caches)
    await delete_stage(_through(aws_account, caches), spec)


async def test_a_foreign_cache_is_refused_and_kept(aws_account: AwsAccount, caches: CacheClientAsync) -> None:
    await caches.create_cache("notification-api-foreign")

    with pytest.raises(NotOwnedError):
        await provision_stage(_through(aws_account, caches), spec_of(stage_name="foreign"))
    await delete_stage(_through(aws_account, caches), spec_of(stage_name="foreign"))

    assert "notification-api-foreign" in await _names(caches)


async def test_a_stage_whose_cache_was_deleted_manually_can_be_deleted(
    aws_account: AwsAccount, caches: CacheClientAsync
) -> None:
    spec = spec_of(stage_name="by-hand")
    outputs = await provision_stage(_through(aws_account, caches), spec)

    await caches.delete_cache(outputs.cache_name)
    assert await provision_stage(_through(aws_account, caches), spec) == outputs
    assert outputs.cache_name in await _names(caches)

    await caches.delete_cache(outputs.cache_name)
    await delete_stage(_through(aws_account, caches), spec)
    assert not any((await aws_account.everything("notification-api-by-hand")).values())


async def test_a_revoked_key_is_a_permanent_error(aws_account: AwsAccount, emulator: MomentoEmulator) -> None:
    key = emulator.make_key()
    emulator.revoke_key(key.key_id)

    async with _caches(emulator, key.v2) as revoked:
        with pytest.raises(PermanentError, match="API key must be valid"):
            await provision_stage(_through(aws_account, revoked), spec_of(stage_name="revoked"))


async def test_an_unreachable_momento_is_transient_and_the_rest_is_provisioned(aws_account: AwsAccount) -> None:
    with momento_emulator_process() as stopped:
        key = stopped.make_key()

    async with _caches(stopped, key.v2) as caches:
        with pytest.raises(ResourceUnavailable, match="Momento, list caches notification-api-down"):
            await provision_stage(_through(aws_account, caches), spec_of(stage_name="down"))

    assert len(await aws_account.queue_names()) == 2
