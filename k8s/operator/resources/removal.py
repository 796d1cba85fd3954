"""Remove a stage: what is ours goes, what is foreign or given stays."""

from k8s.operator.resources.cache import remove_cache
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.inventory import Found, find_stage
from k8s.operator.resources.other_owners import CLIENT_KIND
from k8s.operator.resources.queue import refuse_protected_queue, remove_queue
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, refuse_protected, remove_user_pool
from k8s.operator.resources.user_pool_client import client_thing, find_clients, remove_client


async def remove_stage(clients: Clients, spec: StageSpec, one_pass: Pass | None = None) -> None:
    """Delete client, cache, user pool, task queue and dead-letter queue, as far as they are ours.

    The order: what carries no tags goes before the last resource whose tags say that it is ours. Safe to
    repeat from any point; what is gone is no error, what is foreign is a notice. Raises `ResourceUnavailable` or
    `Permanent`; `Protected`, before anything is deleted, where a person protected
    a user pool or a queue against deletion.
    """
    one_pass = one_pass or Pass(spec.identity)
    found = await find_stage(clients, spec, removing=True)
    pools = _our_pools(found, one_pass)
    for queue in (found.tasks, found.dead_letter):
        if queue and spec.identity.owns(queue.tags):
            refuse_protected_queue(queue)
    await _remove_clients(clients, spec, found, pools, one_pass)
    if not spec.given.cache_name:
        await remove_cache(clients.caches, found.ledger, one_pass)
    for pool in pools:
        await remove_user_pool(clients.idp, pool, one_pass)
    for queue in (found.tasks, found.dead_letter):
        if queue:
            await remove_queue(clients.sqs, queue, one_pass)


async def left_of_stage(clients: Clients, spec: StageSpec) -> list[str]:
    """What of ours is still to be seen after a removal: SQS may show a queue for a minute.

    What carries no tags was seen to be gone before its record went, so Momento is not asked: its key may be gone.
    """
    found = await find_stage(clients, spec, removing=True)
    pools = [f"user pool {pool.pool_id}" for pool in found.user_pools if spec.identity.owns(pool.tags)]
    queues = [queue for queue in (found.tasks, found.dead_letter) if queue and spec.identity.owns(queue.tags)]
    return pools + [f"queue {queue.name}" for queue in queues]


def _our_pools(found: Found, one_pass: Pass) -> list[UserPool]:
    ours = [pool for pool in found.user_pools if one_pass.identity.owns(pool.tags)]
    for pool in found.user_pools:
        if pool not in ours:
            one_pass.notice(f"user pool {pool.pool_id} does not belong to this stage and stays")
    for pool in ours:
        refuse_protected(pool)
    return ours


async def _remove_clients(
    clients: Clients, spec: StageSpec, found: Found, pools: list[UserPool], one_pass: Pass
) -> None:
    if spec.given.user_pool_client_id:
        return
    given_pool, name = spec.given.user_pool_id, spec.identity.names.user_pool_client
    for pool_id in [given_pool] if given_pool else [pool.pool_id for pool in pools]:
        if given_pool and not _client_is_ours(found, spec, given_pool, one_pass):
            continue
        for client in await find_clients(clients.idp, pool_id, name):
            await remove_client(clients.idp, client, one_pass)
    if given_pool:
        await found.ledger.drop(CLIENT_KIND)


def _client_is_ours(found: Found, spec: StageSpec, pool_id: str, one_pass: Pass) -> bool:
    thing = client_thing(spec.identity, pool_id)
    recorded, other = found.ledger.has(CLIENT_KIND, pool_id), found.ledger.other_owner(thing)
    if recorded and other:
        one_pass.notice(f"{thing.title} also belongs to {other} and stays")
    return recorded and not other
