"""Which of a stage's resources carry its ledger."""

from collections.abc import Sequence
from functools import partial

from k8s.operator.resources.clients import Clients
from k8s.operator.resources.other_owners import OtherOwners
from k8s.operator.resources.ownership_tags import Carrier, Ledger
from k8s.operator.resources.queue import Queue, tag_queue, untag_queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, tag_user_pool, untag_user_pool


def stage_ledger(
    clients: Clients, spec: StageSpec, queues: Sequence[Queue | None], pools: Sequence[UserPool], others: OtherOwners
) -> Ledger:
    """The ledger on whatever of these exists, is ours and is not given (given resources are never changed)."""
    given = {spec.given.queue_url, spec.given.dead_letter_queue_url}
    carriers = [
        Carrier(
            queue.tags,
            partial(tag_queue, clients.sqs, queue.url),
            partial(untag_queue, clients.sqs, queue.url),
        )
        for queue in queues
        if queue and queue.url not in given and spec.identity.owns(queue.tags)
    ]
    carriers += [
        Carrier(
            pool.tags,
            partial(tag_user_pool, clients.idp, pool.arn),
            partial(untag_user_pool, clients.idp, pool.arn),
        )
        for pool in pools
        if pool.pool_id != spec.given.user_pool_id and spec.identity.owns(pool.tags)
    ]
    return Ledger(carriers, others)
