"""A whole stage: provision it as its spec says, or delete it. Both can be repeated after any failure."""

from dataclasses import replace

from k8s.operator.resources.cache import delete_cache, ensure_cache
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.inventory import Inventory, read_inventory
from k8s.operator.resources.ownership_tags import CLIENT_KIND, OtherOwners, OwnershipTags, ownership_tags
from k8s.operator.resources.queue import (
    Queue,
    check_queue_unprotected,
    correct_queue_drift,
    delete_queue,
    ensure_queue,
)
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageOutputs, StageSpec, issuer, jwks_url
from k8s.operator.resources.user_pool import (
    USER_POOL_SETTING,
    UserPool,
    check_pool_unprotected,
    delete_user_pool,
    ensure_user_pool,
)
from k8s.operator.resources.user_pool_client import (
    client_in_given_pool,
    delete_client,
    ensure_client,
    find_clients,
    read_client,
)

QUEUE_SETTING, DEAD_LETTER_QUEUE_SETTING = "queue.url", "queue.deadLetterUrl"


async def provision_stage(clients: Clients, spec: StageSpec, log: ReconcileLog | None = None) -> StageOutputs:
    """Create, adopt and correct every resource of the stage that is not given. An unchanged stage costs no write.

    :param log: receives what was changed, even if this raises.
    :raises ResourceUnavailable: run it again.
    :raises NotOwnedError:
    :raises PermanentError: a person has to change something first.
    """
    # The lists are the caller's; identity and adoption follow the spec.
    log = replace(log or ReconcileLog(spec.identity), identity=spec.identity, adopt=spec.adopt)
    inventory = await read_inventory(clients, spec)
    _check_ownership(inventory, log)
    tasks, dead_letter = await _ensure_queues(clients, spec, inventory, log)
    pool = inventory.given_pool or await ensure_user_pool(clients.idp, inventory.user_pools, spec.user_pool, log)
    ownership = ownership_tags(clients, spec, [dead_letter, tasks], [pool], inventory.others)
    ownership = replace(ownership, read_others=lambda: _read_others(clients, spec))
    client_id = await _ensure_client(clients, spec, pool, ownership, log)
    cache_name = spec.given.cache_name or await ensure_cache(clients.caches, ownership, log)
    return StageOutputs(
        queue_url=tasks.url,
        queue_arn=tasks.arn,
        dead_letter_queue_url=dead_letter.url,
        dead_letter_queue_arn=dead_letter.arn,
        user_pool_id=pool.pool_id,
        user_pool_client_id=client_id,
        issuer=issuer(pool.pool_id),
        jwks_url=jwks_url(pool.pool_id, clients.idp.meta.endpoint_url),
        cache_name=cache_name,
    )


def _check_ownership(inventory: Inventory, log: ReconcileLog) -> None:
    """Before the first write, so that a stage that is refused leaves nothing behind."""
    for queue, setting in (
        (inventory.dead_letter, DEAD_LETTER_QUEUE_SETTING),
        (inventory.tasks, QUEUE_SETTING),
    ):
        if queue:
            log.must_tag(queue.title, queue.tags, setting)
    if not any(log.identity.owns(pool.tags) for pool in inventory.user_pools):
        for pool in inventory.user_pools:
            log.must_tag(pool.title, pool.tags, USER_POOL_SETTING)


async def _read_others(clients: Clients, spec: StageSpec) -> OtherOwners:
    return (await read_inventory(clients, spec)).others


async def _ensure_queues(
    clients: Clients, spec: StageSpec, inventory: Inventory, log: ReconcileLog
) -> tuple[Queue, Queue]:
    names, sqs = spec.identity.names, clients.sqs
    dead_letter = inventory.given_dead_letter or await ensure_queue(
        sqs,
        names.dead_letter_queue,
        inventory.dead_letter,
        spec.queue.dead_letter_queue(),
        DEAD_LETTER_QUEUE_SETTING,
        log,
    )
    tasks = inventory.given_tasks or await ensure_queue(
        sqs, names.task_queue, inventory.tasks, spec.queue.task_queue(), QUEUE_SETTING, log
    )
    # Each queue's policy names the other queue, so both exist before either is set. The dead-letter queue's permission
    # is set first: without it SQS refuses the task queue's redrive policy.
    if not inventory.given_dead_letter:
        await correct_queue_drift(sqs, dead_letter, spec.queue.dead_letter_queue(tasks.arn), log)
    if not inventory.given_tasks:
        wanted = spec.queue.task_queue(dead_letter.arn)
        keep_longer = spec.queue.task_retention_seconds is None
        await correct_queue_drift(sqs, tasks, wanted, log, keep_longer_retention=keep_longer)
    return tasks, dead_letter


async def _ensure_client(
    clients: Clients, spec: StageSpec, pool: UserPool, ownership: OwnershipTags, log: ReconcileLog
) -> str:
    if spec.given.user_pool_client_id:
        return (await read_client(clients.idp, pool.pool_id, spec.given.user_pool_client_id)).client_id
    found = await find_clients(clients.idp, pool.pool_id, spec.identity.names.user_pool_client)
    if spec.given.user_pool_id:
        await ownership.claim(client_in_given_pool(spec.identity, pool.pool_id), log, exists=bool(found))
    return (await ensure_client(clients.idp, pool.pool_id, found, log)).client_id


async def delete_stage(clients: Clients, spec: StageSpec, log: ReconcileLog | None = None) -> None:
    """Delete client, cache, user pool, task queue and dead-letter queue, as far as the stage owns them.

    What cannot have tags is deleted before the last resource whose ownership tags say that it is the stage's. A
    resource that no longer exists is no error; one that the stage does not own is a notice.

    :raises ResourceUnavailable:
    :raises ProtectedError: before anything is deleted, if a person protected a user pool or queue against deletion.
    :raises PermanentError:
    """
    log = log or ReconcileLog(spec.identity)
    inventory = await read_inventory(clients, spec, deleting=True)
    pools = _owned_pools(inventory, log)
    for queue in (inventory.tasks, inventory.dead_letter):
        if queue and spec.identity.owns(queue.tags):
            check_queue_unprotected(queue)
    await _delete_clients(clients, spec, inventory, pools, log)
    if not spec.given.cache_name:
        await delete_cache(clients.caches, inventory.ownership, log)
    for pool in pools:
        await delete_user_pool(clients.idp, pool, log)
    for queue in (inventory.tasks, inventory.dead_letter):
        if queue:
            await delete_queue(clients.sqs, queue, log)


async def remaining_resources(clients: Clients, spec: StageSpec) -> list[str]:
    """What of the stage still exists after `delete_stage`: SQS may list a deleted queue for a minute.

    Clients and caches are not listed: they no longer existed when their tags were removed, and the Momento key may
    not exist any more.
    """
    inventory = await read_inventory(clients, spec, deleting=True)
    pools = [f"user pool {pool.pool_id}" for pool in inventory.user_pools if spec.identity.owns(pool.tags)]
    queues = [queue for queue in (inventory.tasks, inventory.dead_letter) if queue and spec.identity.owns(queue.tags)]
    return pools + [f"queue {queue.name}" for queue in queues]


def _owned_pools(inventory: Inventory, log: ReconcileLog) -> list[UserPool]:
    owned = [pool for pool in inventory.user_pools if log.identity.owns(pool.tags)]
    for pool in inventory.user_pools:
        if pool not in owned:
            log.notice(f"user pool {pool.pool_id} does not belong to this stage and stays")
    for pool in owned:
        check_pool_unprotected(pool)
    return owned


async def _delete_clients(
    clients: Clients, spec: StageSpec, inventory: Inventory, pools: list[UserPool], log: ReconcileLog
) -> None:
    if spec.given.user_pool_client_id:
        return
    given_pool, name = spec.given.user_pool_id, spec.identity.names.user_pool_client
    for pool_id in [given_pool] if given_pool else [pool.pool_id for pool in pools]:
        if given_pool and not _owns_client(inventory, spec, given_pool, log):
            continue
        for client in await find_clients(clients.idp, pool_id, name):
            await delete_client(clients.idp, client, log)
    if given_pool:
        await inventory.ownership.remove(CLIENT_KIND)


def _owns_client(inventory: Inventory, spec: StageSpec, pool_id: str, log: ReconcileLog) -> bool:
    client = client_in_given_pool(spec.identity, pool_id)
    is_tagged, other = inventory.ownership.has(client), inventory.ownership.other_owner(client)
    if is_tagged and other:
        log.notice(f"{client.title} also belongs to {other} and stays")
    return is_tagged and not other
