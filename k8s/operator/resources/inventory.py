"""Which of a stage's resources exist. Reads only; provisioning, deletion and status start from it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from k8s.operator.resources.clients import Clients
from k8s.operator.resources.ownership_tags import OtherOwners, OwnershipTags, other_owners, ownership_tags
from k8s.operator.resources.queue import Queue, find_queue, read_given_queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, find_user_pools, read_user_pool
from notification_api import PermanentError

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Inventory:
    """The resources that exist.

    `tasks`, `dead_letter` and `user_pools` have the stage's names and any owner; they are empty where another
    resource is given instead.
    """

    tasks: Queue | None
    dead_letter: Queue | None
    user_pools: list[UserPool]
    given_tasks: Queue | None
    given_dead_letter: Queue | None
    given_pool: UserPool | None
    others: OtherOwners
    ownership: OwnershipTags


async def read_inventory(clients: Clients, spec: StageSpec, *, deleting: bool = False) -> Inventory:
    """Read the resources that the stage uses and those with its names.

    If the stage creates something that cannot have tags, resources with its names are read even where others are given
    instead: they may have the ownership tags of another Stage.

    :raises NotFoundError: for a given resource that does not exist, unless `deleting`.
    """
    given, names = spec.given, spec.identity.names
    dead_letter = await _named_queue(clients, spec, names.dead_letter_queue, given.dead_letter_queue_url)
    tasks = await _named_queue(clients, spec, names.task_queue, given.queue_url)
    pools: list[UserPool] = []
    if given.user_pool_id is None or spec.creates_untaggable:
        pools = await find_user_pools(clients.idp, names.user_pool)
    given_tasks = await _given_queue(clients, spec, given.queue_url, deleting=deleting)
    given_dead_letter = await _given_queue(clients, spec, given.dead_letter_queue_url, deleting=deleting)
    given_pool = None
    if given.user_pool_id:
        given_pool = await _given(read_user_pool(clients.idp, given.user_pool_id), deleting=deleting)
    others = other_owners(spec.identity, [tasks, dead_letter, *pools, given_tasks, given_dead_letter, given_pool])
    tasks, dead_letter = (None if given.queue_url else tasks), (None if given.dead_letter_queue_url else dead_letter)
    pools = [] if given.user_pool_id else pools
    ownership = ownership_tags(clients, spec, [dead_letter, tasks], pools, others)
    return Inventory(tasks, dead_letter, pools, given_tasks, given_dead_letter, given_pool, others, ownership)


async def _named_queue(clients: Clients, spec: StageSpec, name: str, given_url: str | None) -> Queue | None:
    return await find_queue(clients.sqs, name) if given_url is None or spec.creates_untaggable else None


async def _given_queue(clients: Clients, spec: StageSpec, url: str | None, *, deleting: bool) -> Queue | None:
    if url is None:
        return None
    must_read_tags = spec.adopt and spec.creates_untaggable
    return await _given(read_given_queue(clients.sqs, url, must_read_tags=must_read_tags), deleting=deleting)


async def _given(read: Awaitable[_Read], *, deleting: bool) -> _Read | None:
    try:
        return await read
    except PermanentError:
        if deleting:  # its owner may have deleted it
            return None
        raise
