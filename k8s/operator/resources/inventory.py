"""What exists of a stage before anything is done: reads only, used to make, to remove and to report."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from k8s.operator.resources.carriers import stage_ledger
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.errors import Permanent
from k8s.operator.resources.other_owners import OtherOwners, other_owners
from k8s.operator.resources.ownership_tags import Ledger
from k8s.operator.resources.queue import Queue, find_queue, read_given_queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, find_user_pools, read_user_pool

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Found:
    """`tasks`, `dead_letter` and `user_pools` have the stage's names, whoever owns them; none where it is given."""

    tasks: Queue | None
    dead_letter: Queue | None
    user_pools: list[UserPool]
    given_tasks: Queue | None
    given_dead_letter: Queue | None
    given_pool: UserPool | None
    others: OtherOwners
    ledger: Ledger


async def find_stage(clients: Clients, spec: StageSpec, *, removing: bool = False) -> Found:
    """Read everything that the stage uses, and everything of the names that it derives.

    Where the stage makes what carries no tags, resources of its names are read though others are given in their
    place: they may bear the marks of another Stage. Raises `NotFound` for a given resource that does not exist,
    except when removing.
    """
    given, names = spec.given, spec.identity.names
    dead_letter = await _named_queue(clients, spec, names.dead_letter_queue, given.dead_letter_queue_url)
    tasks = await _named_queue(clients, spec, names.task_queue, given.queue_url)
    pools: list[UserPool] = []
    if given.user_pool_id is None or spec.makes_untagged:
        pools = await find_user_pools(clients.idp, names.user_pool)
    given_tasks = await _given_queue(clients, spec, given.queue_url, removing=removing)
    given_dead_letter = await _given_queue(clients, spec, given.dead_letter_queue_url, removing=removing)
    given_pool = None
    if given.user_pool_id:
        given_pool = await _optional(read_user_pool(clients.idp, given.user_pool_id), removing=removing)
    seen = [tasks, dead_letter, *pools, given_tasks, given_dead_letter, given_pool]
    tasks, dead_letter = (None if given.queue_url else tasks), (None if given.dead_letter_queue_url else dead_letter)
    pools = [] if given.user_pool_id else pools
    others = other_owners(spec.identity, seen)
    ledger = stage_ledger(clients, spec, [dead_letter, tasks], pools, others)
    return Found(tasks, dead_letter, pools, given_tasks, given_dead_letter, given_pool, others, ledger)


async def _named_queue(clients: Clients, spec: StageSpec, name: str, given_url: str | None) -> Queue | None:
    return await find_queue(clients.sqs, name) if given_url is None or spec.makes_untagged else None


async def _given_queue(clients: Clients, spec: StageSpec, url: str | None, *, removing: bool) -> Queue | None:
    if url is None:
        return None
    must_read_tags = spec.adopt and spec.makes_untagged
    return await _optional(read_given_queue(clients.sqs, url, must_read_tags=must_read_tags), removing=removing)


async def _optional(read: Awaitable[_Read], *, removing: bool) -> _Read | None:
    try:
        return await read
    except Permanent:
        if removing:  # it is somebody else's to remove, and may be gone
            return None
        raise
