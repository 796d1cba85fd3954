"""Observe a stage without touching it: what is there, whose it is, and how it differs from its spec."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from k8s.operator.resources.cache import KIND as CACHE_KIND
from k8s.operator.resources.cache import cache_exists
from k8s.operator.resources.carriers import CLIENT_KIND
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.diff import differing
from k8s.operator.resources.found import Found, find_stage
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.queue import Queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool
from k8s.operator.resources.user_pool_client import SETTINGS, find_clients


class Belongs(StrEnum):
    """Whose a resource is."""

    GIVEN = "given"
    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Resource:
    """One resource of a stage: its name or given address, and which of its settings differ (ours only)."""

    kind: str
    name: str
    belongs: Belongs
    drift: tuple[str, ...] = ()


async def observe_stage(clients: Clients, spec: StageSpec) -> list[Resource]:
    """Queue, dead-letter queue, user pool, client and cache, in this order. Reads only.

    What depends on a given or missing neighbour's ARN is not judged.
    """
    names, given, found = spec.identity.names, spec.given, await find_stage(clients, spec)
    queue = _named("queue", given.queue_url, names.task_queue)
    dead_letter = _named("dead-letter queue", given.dead_letter_queue_url, names.dead_letter_queue)
    wanted = spec.queue.task_queue(found.dead_letter.arn) if found.dead_letter else {}
    dead_letter_wanted = spec.queue.dead_letter_queue(found.tasks.arn if found.tasks else None)
    return [
        _queue(spec.identity, queue, found.tasks, wanted),
        _queue(spec.identity, dead_letter, found.dead_letter, dead_letter_wanted),
        _user_pool(spec, found),
        await _client(clients, spec, found),
        await _cache(clients, spec, found),
    ]


def _named(kind: str, given: str | None, name: str) -> Resource:
    return Resource(kind, given, Belongs.GIVEN) if given else Resource(kind, name, Belongs.ABSENT)


def _queue(identity: Identity, named: Resource, queue: Queue | None, wanted: Mapping[str, str]) -> Resource:
    if queue is None:
        return named
    if not identity.owns(queue.tags):
        return replace(named, belongs=Belongs.FOREIGN)
    return replace(named, belongs=Belongs.OURS, drift=tuple(sorted(queue.drift(wanted))))


def _user_pool(spec: StageSpec, found: Found) -> Resource:
    named = _named("user pool", spec.given.user_pool_id, spec.identity.names.user_pool)
    ours = _our_pool(spec, found)
    if ours:
        drift = differing(spec.user_pool.kept(), ours.settings)
        return replace(named, belongs=Belongs.OURS, drift=tuple(sorted(drift)))
    return replace(named, belongs=Belongs.FOREIGN) if found.user_pools else named


def _our_pool(spec: StageSpec, found: Found) -> UserPool | None:
    return next((pool for pool in found.user_pools if spec.identity.owns(pool.tags)), None)


async def _client(clients: Clients, spec: StageSpec, found: Found) -> Resource:
    named = _named("client", spec.given.user_pool_client_id, spec.identity.names.user_pool_client)
    given_pool, ours = spec.given.user_pool_id, _our_pool(spec, found)
    pool_id = given_pool or (ours.pool_id if ours else None)
    if named.belongs is Belongs.GIVEN or pool_id is None:
        return named
    there = await find_clients(clients.idp, pool_id, named.name)
    if not there:
        return named
    if given_pool and not found.ledger.has(CLIENT_KIND, given_pool):
        return replace(named, belongs=Belongs.FOREIGN)
    return replace(named, belongs=Belongs.OURS, drift=tuple(sorted(differing(SETTINGS, there[0].settings))))


async def _cache(clients: Clients, spec: StageSpec, found: Found) -> Resource:
    named = _named("cache", spec.given.cache_name, spec.identity.names.cache)
    if named.belongs is Belongs.GIVEN or not await cache_exists(clients.caches, named.name):
        return named
    ours = found.ledger.has(CACHE_KIND, named.name)
    return replace(named, belongs=Belongs.OURS if ours else Belongs.FOREIGN)
