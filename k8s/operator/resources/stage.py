"""A whole stage: make it what its spec says. Observe, diff, act; safe to repeat from any point."""

from dataclasses import replace

from k8s.operator.resources.cache import claim_cache
from k8s.operator.resources.carriers import stage_ledger
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.inventory import Found, find_stage
from k8s.operator.resources.other_owners import OtherOwners
from k8s.operator.resources.outputs import StageOutputs, issuer, jwks_url
from k8s.operator.resources.ownership_tags import Ledger
from k8s.operator.resources.queue import Queue, claim_queue, mend_queue
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import GIVE as POOL_GIVE
from k8s.operator.resources.user_pool import UserPool
from k8s.operator.resources.user_pool_claim import claim_user_pool
from k8s.operator.resources.user_pool_client import client_thing, find_clients, make_client, read_client

TASKS_GIVE, DEAD_LETTER_GIVE = "queue.url", "queue.deadLetterUrl"


async def make_stage(clients: Clients, spec: StageSpec, one_pass: Pass | None = None) -> StageOutputs:
    """Make, adopt and mend whatever of the stage is not given; an unchanged stage costs no write.

    Pass an own `Pass` to learn what was changed, even when this raises. Raises `ResourceUnavailable` (run it again),
    `NotOurs` or another `Permanent` (somebody has to change something first).
    """
    # The caller's lists, the spec's rules.
    one_pass = replace(one_pass or Pass(spec.identity), identity=spec.identity, adopt=spec.adopt)
    found = await find_stage(clients, spec)
    _refuse_what_is_not_ours(found, one_pass)
    tasks, dead_letter = await _make_queues(clients, spec, found, one_pass)
    pool = found.given_pool or await claim_user_pool(clients.idp, found.user_pools, spec.user_pool, one_pass)
    ledger = stage_ledger(clients, spec, [dead_letter, tasks], [pool], found.others)
    ledger = replace(ledger, read_others=lambda: _others_now(clients, spec))
    client_id = await _make_client(clients, spec, pool, ledger, one_pass)
    cache_name = spec.given.cache_name or await claim_cache(clients.caches, ledger, one_pass)
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


def _refuse_what_is_not_ours(found: Found, one_pass: Pass) -> None:
    """Before the first write, so that a stage that is refused leaves nothing behind."""
    for queue, give in ((found.dead_letter, DEAD_LETTER_GIVE), (found.tasks, TASKS_GIVE)):
        if queue:
            one_pass.must_tag(queue.title, queue.tags, give)
    if not any(one_pass.identity.owns(pool.tags) for pool in found.user_pools):
        for pool in found.user_pools:
            one_pass.must_tag(pool.title, pool.tags, POOL_GIVE)


async def _others_now(clients: Clients, spec: StageSpec) -> OtherOwners:
    return (await find_stage(clients, spec)).others


async def _make_queues(clients: Clients, spec: StageSpec, found: Found, one_pass: Pass) -> tuple[Queue, Queue]:
    names, sqs = spec.identity.names, clients.sqs
    dead_letter = found.given_dead_letter or await claim_queue(
        sqs, names.dead_letter_queue, found.dead_letter, spec.queue.dead_letter_queue(), DEAD_LETTER_GIVE, one_pass
    )
    tasks = found.given_tasks or await claim_queue(
        sqs, names.task_queue, found.tasks, spec.queue.task_queue(), TASKS_GIVE, one_pass
    )
    # Each names the other, so both exist before either gets its policy; and the permission to redrive comes before
    # the redrive, which SQS refuses without it.
    if not found.given_dead_letter:
        await mend_queue(sqs, dead_letter, spec.queue.dead_letter_queue(tasks.arn), one_pass)
    if not found.given_tasks:
        wanted, unset = spec.queue.task_queue(dead_letter.arn), spec.queue.task_retention_seconds is None
        await mend_queue(sqs, tasks, wanted, one_pass, longer_retention=unset)
    return tasks, dead_letter


async def _make_client(clients: Clients, spec: StageSpec, pool: UserPool, ledger: Ledger, one_pass: Pass) -> str:
    if spec.given.user_pool_client_id:
        return (await read_client(clients.idp, pool.pool_id, spec.given.user_pool_client_id)).client_id
    found = await find_clients(clients.idp, pool.pool_id, spec.identity.names.user_pool_client)
    if spec.given.user_pool_id:
        await ledger.claim(client_thing(spec.identity, pool.pool_id), one_pass, exists=bool(found))
    return (await make_client(clients.idp, pool.pool_id, found, one_pass)).client_id
