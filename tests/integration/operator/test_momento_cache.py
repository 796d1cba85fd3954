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
from k8s.operator.resources.errors import NotOurs, Permanent, ResourceUnavailable
from k8s.operator.resources.removal import remove_stage
from k8s.operator.resources.stage import make_stage
from tests.support.operator.aws_account import World, spec_of, stage_world
from tests.support.processes.ministack import MiniStack, ministack_process
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture(scope="module")
def emulator() -> Iterator[MomentoEmulator]:
    with momento_emulator_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[World]:
    async with stage_world(stack) as made:
        yield made


@pytest.fixture
async def caches(emulator: MomentoEmulator) -> AsyncIterator[CacheClientAsync]:
    async with _caches(emulator, emulator.make_key().v2) as client:
        yield client


@asynccontextmanager
async def _caches(emulator: MomentoEmulator, key: str) -> AsyncIterator[CacheClientAsync]:
    configuration = Configurations.Laptop.v1()
    async with CacheClientAsync(configuration, emulator.credentials(key), timedelta(hours=1)) as client:
        yield client


def _through(world: World, caches: CacheClientAsync) -> Clients:
    return replace(world.clients, caches=caches)


async def _names(caches: CacheClientAsync) -> list[str]:
    answer = await caches.list_caches()
    assert isinstance(answer, ListCaches.Success)
    return [cache.name for cache in answer.caches]


async def test_a_cache_is_made_kept_and_removed(world: World, caches: CacheClientAsync) -> None:
    spec = spec_of(stage_name="whole-life")

    outputs = await make_stage(_through(world, caches), spec)
    assert outputs.cache_name in await _names(caches)

    world.calls.forget()
    assert await make_stage(_through(world, caches), spec) == outputs
    assert world.calls.writes == []

    await remove_stage(_through(world, caches), spec)
    assert outputs.cache_name not in await _names(caches)
    await remove_stage(_through(world, caches), spec)


async def test_somebody_elses_cache_is_refused_and_stays(world: World, caches: CacheClientAsync) -> None:
    await caches.create_cache("notification-api-theirs")

    with pytest.raises(NotOurs):
        await make_stage(_through(world, caches), spec_of(stage_name="theirs"))
    await remove_stage(_through(world, caches), spec_of(stage_name="theirs"))

    assert "notification-api-theirs" in await _names(caches)


async def test_a_cache_deleted_by_hand_is_no_obstacle(world: World, caches: CacheClientAsync) -> None:
    spec = spec_of(stage_name="by-hand")
    outputs = await make_stage(_through(world, caches), spec)

    await caches.delete_cache(outputs.cache_name)
    assert await make_stage(_through(world, caches), spec) == outputs
    assert outputs.cache_name in await _names(caches)

    await caches.delete_cache(outputs.cache_name)
    await remove_stage(_through(world, caches), spec)
    assert not any((await world.everything("notification-api-by-hand")).values())


async def test_a_revoked_key_is_for_a_person_to_mend(world: World, emulator: MomentoEmulator) -> None:
    key = emulator.make_key()
    emulator.revoke_key(key.key_id)

    async with _caches(emulator, key.v2) as revoked:
        with pytest.raises(Permanent, match="API key must be valid"):
            await make_stage(_through(world, revoked), spec_of(stage_name="revoked"))


async def test_momento_out_of_reach_is_transient_and_the_rest_of_the_stage_stands(world: World) -> None:
    with momento_emulator_process() as stopped:
        key = stopped.make_key()

    async with _caches(stopped, key.v2) as caches:
        with pytest.raises(ResourceUnavailable, match="Momento, list caches notification-api-down"):
            await make_stage(_through(world, caches), spec_of(stage_name="down"))

    assert len(await world.queue_names()) == 2
