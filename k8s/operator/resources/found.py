"""What is there of a stage before anything is done: reads only, used to remove and to report."""

from dataclasses import dataclass

from k8s.operator.resources.carriers import stage_ledger
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.ledger import Ledger
from k8s.operator.resources.queue import Queue, find_queue
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, find_user_pools


@dataclass(frozen=True)
class Found:
    """Resources of the stage's names, whosever they are; a given resource is not looked for."""

    tasks: Queue | None
    dead_letter: Queue | None
    user_pools: list[UserPool]
    ledger: Ledger


async def find_stage(clients: Clients, spec: StageSpec) -> Found:
    """Look for everything that the stage would make."""
    names, given = spec.identity.names, spec.given
    dead_letter = None if given.dead_letter_queue_url else await find_queue(clients.sqs, names.dead_letter_queue)
    tasks = None if given.queue_url else await find_queue(clients.sqs, names.task_queue)
    pools = [] if given.user_pool_id else await find_user_pools(clients.idp, names.user_pool)
    return Found(tasks, dead_letter, pools, stage_ledger(clients, spec, [dead_letter, tasks], pools))
