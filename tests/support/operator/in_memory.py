"""An operator in the process of the test: reconcilers of in-memory Stages over an emulated AWS account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from k8s.operator.api.readiness import ReadinessClient
from k8s.operator.api.releases import Releases
from k8s.operator.api.scrape import Scraper
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import StageStatus
from k8s.operator.context import Context
from k8s.operator.controller.reconciler import Reconciler
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.resources.clients import CacheControl
from k8s.operator.resources.momento_caches import MomentoCaches
from k8s.operator.settings import OperatorSettings
from services.common.settings import ServiceSettings
from tests.support.fakes.kubernetes import InMemoryKubernetes
from tests.support.operator.aws_account import AwsAccount, open_aws_account
from tests.support.processes.ministack import MiniStack


class OneMomento(MomentoCaches):
    """The same cache control for every stage."""

    def __init__(self, caches: CacheControl) -> None:
        self._caches = caches

    def with_key(self, parameter: str) -> CacheControl:
        return self._caches


def operator_settings(**changes: Any) -> OperatorSettings:
    service = ServiceSettings(
        service_name="notification-operator",
        stage_name="-",
        log_level="INFO",
        host="127.0.0.1",
        port=0,
        ops_port=0,
        shutdown_delay_seconds=0.0,
        shutdown_grace_seconds=1.0,
    )
    settings = OperatorSettings(
        service=service,
        cluster_name="test-cluster",
        namespaces=(),
        momento_api_key_param_name=None,
        momento_endpoint=None,
        liveness_port=0,
        resync_seconds=300.0,
        active_poll_seconds=2.0,
        idle_poll_seconds=5.0,
        max_concurrent_reconciles=8,
    )
    return replace(settings, **changes)


@dataclass
class InMemoryOperator:
    """`kubernetes` and the clients of `context` record their calls in `aws_account.calls`."""

    aws_account: AwsAccount
    kubernetes: InMemoryKubernetes
    context: Context

    def reconciler(self, stage: StageObject) -> Reconciler:
        """Return a new one, as after a restart of the operator."""
        return make_reconciler(self.context, stage)


@asynccontextmanager
async def in_memory_operator(aws: MiniStack, caches: CacheControl | None = None) -> AsyncIterator[InMemoryOperator]:
    async with open_aws_account(aws) as account:
        kubernetes = InMemoryKubernetes(account.calls)
        clients = account.clients
        context = make_context(
            kubernetes, sqs=clients.sqs, idp=clients.idp, caches=OneMomento(caches or account.caches)
        )
        yield InMemoryOperator(account, kubernetes, context)


async def reconcile(reconciler: Reconciler, times: int = 3) -> None:
    """Reconcile that often, or until the Stage is deleted."""
    for _ in range(times):
        if await reconciler.reconcile_once() is None:
            return


def make_reconciler(context: Context, stage: StageObject) -> Reconciler:
    """Return a reconciler with a status of its own."""
    status = StageStatus(stage)
    return Reconciler(context, stage, status, StageHealth(status, context.events))


def make_context(kubernetes: InMemoryKubernetes, **changes: Any) -> Context:
    """For unit tests: clients that are not given must not be used."""
    nothing: Any = None
    context = Context(
        settings=operator_settings(),
        kubernetes=kubernetes,
        sqs=nothing,
        idp=nothing,
        caches=nothing,
        scraper=Scraper(),
        releases=Releases(kubernetes),
        readiness_client=ReadinessClient(),
        decide=desired_replicas,
        reconcile_slots=asyncio.Semaphore(2),
        retry_slots=asyncio.Semaphore(2),
    )
    return replace(context, **changes)
