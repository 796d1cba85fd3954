"""A whole stage: make it what its spec says. Observe, diff, act; safe to repeat from any point."""

from dataclasses import replace

from k8s.operator.resources.cache import claim_cache
from k8s.operator.resources.carriers import CLIENT_KIND, stage_ledger
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.errors import NotOurs
from k8s.operator.resources.ledger import Ledger
from k8s.operator.resources.one_pass import Pass
from k8s.operator.resources.outputs import StageOutputs, issuer, jwks_url
from k8s.operator.resources.queue import Queue, claim_queue, mend_queue, read_given_queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, read_user_pool
from k8s.operator.resources.user_pool_claim import claim_user_pool
from k8s.operator.resources.user_pool_client import GIVE, find_clients, make_client, read_client


async def make_stage(clients: Clients, spec: StageSpec, one_pass: Pass | None = None) -> StageOutputs:
    """Make, adopt and mend whatever of the stage is not given; an unchanged stage costs no write.

    Pass an own `Pass` to learn what was changed, even when this raises. Raises `Transient` (run it again),
    `NotOurs` or another `Permanent` (somebody has to change something first).
    """
    # The caller's lists, the spec's rules.
    one_pass = replace(one_pass or Pass(spec.identity), identity=spec.identity, adopt=spec.adopt)
    tasks, dead_letter = await _make_queues(clients, spec, one_pass)
    pool = await _make_user_pool(clients, spec, one_pass)
    ledger = stage_ledger(clients, spec, [dead_letter, tasks], [pool])
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


async def _make_queues(clients: Clients, spec: StageSpec, one_pass: Pass) -> tuple[Queue, Queue]:
    tasks, dead_letter = await _claim_queues(clients, spec, one_pass)
    # Each names the other, so both are there before either gets its policy; and the permission to redrive comes
    # before the redrive, which SQS refuses without it.
    if not spec.given.dead_letter_queue_url:
        await mend_queue(clients.sqs, dead_letter, spec.queue.dead_letter_queue(tasks.arn), one_pass)
    if not spec.given.queue_url:
        wanted, unset = spec.queue.task_queue(dead_letter.arn), spec.queue.task_retention_seconds is None
        await mend_queue(clients.sqs, tasks, wanted, one_pass, longer_retention=unset)
    return tasks, dead_letter


async def _claim_queues(clients: Clients, spec: StageSpec, one_pass: Pass) -> tuple[Queue, Queue]:
    names, given, sqs = spec.identity.names, spec.given, clients.sqs
    if given.dead_letter_queue_url:
        dead_letter = await read_given_queue(sqs, given.dead_letter_queue_url)
    else:
        at_creation = spec.queue.dead_letter_queue()
        dead_letter = await claim_queue(sqs, names.dead_letter_queue, at_creation, "queue.deadLetterUrl", one_pass)
    if given.queue_url:
        return await read_given_queue(sqs, given.queue_url), dead_letter
    return await claim_queue(sqs, names.task_queue, spec.queue.task_queue(), "queue.url", one_pass), dead_letter


async def _make_user_pool(clients: Clients, spec: StageSpec, one_pass: Pass) -> UserPool:
    if spec.given.user_pool_id:
        return await read_user_pool(clients.idp, spec.given.user_pool_id)
    return await claim_user_pool(clients.idp, spec.user_pool, one_pass)


async def _make_client(clients: Clients, spec: StageSpec, pool: UserPool, ledger: Ledger, one_pass: Pass) -> str:
    if spec.given.user_pool_client_id:
        return (await read_client(clients.idp, pool.pool_id, spec.given.user_pool_client_id)).client_id
    name = spec.identity.names.user_pool_client
    found = await find_clients(clients.idp, pool.pool_id, name)
    if spec.given.user_pool_id:
        if found and not ledger.has(CLIENT_KIND, pool.pool_id) and not spec.adopt:
            raise NotOurs(f"client {name} in user pool {pool.pool_id}", GIVE)
        await ledger.put(CLIENT_KIND, pool.pool_id)
    return (await make_client(clients.idp, pool.pool_id, found, one_pass)).client_id
