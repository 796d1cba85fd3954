"""One operator without its process: keepers of Stages in memory, over an AWS account and Momento for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from k8s.operator.api.scrape import Scraper
from k8s.operator.api.stage import StageObject
from k8s.operator.api.status import StageStatus
from k8s.operator.context import Tools
from k8s.operator.controller.reconciler import Keeper
from k8s.operator.health.answers import Asker
from k8s.operator.health.releases import Releases
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.resources.clients import CacheControl
from k8s.operator.resources.momento_caches import MomentoCaches
from k8s.operator.settings import OperatorSettings
from services.common.settings import ServiceSettings
from tests.support.fakes.kubernetes_in_memory import KubernetesInMemory
from tests.support.operator.aws_account import World, stage_world
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
        max_passes=8,
    )
    return replace(settings, **changes)


@dataclass
class KeeperWorld:
    """`tools.clients` are those of `world`, on its record; `kubernetes` shares that record."""

    world: World
    kubernetes: KubernetesInMemory
    tools: Tools

    def keeper(self, stage: StageObject) -> Keeper:
        """As an operator that has just started would have it."""
        return keeper_of(self.tools, stage)


@asynccontextmanager
async def keeper_world(stack: MiniStack, caches: CacheControl | None = None) -> AsyncIterator[KeeperWorld]:
    async with stage_world(stack) as world:
        kubernetes = KubernetesInMemory(world.calls)
        clients = world.clients
        tools = tools_of(kubernetes, sqs=clients.sqs, idp=clients.idp, caches=OneMomento(caches or world.caches))
        yield KeeperWorld(world, kubernetes, tools)


def keeper_of(tools: Tools, stage: StageObject) -> Keeper:
    """With a status of its own."""
    status = StageStatus(stage)
    return Keeper(tools, stage, status, StageHealth(status, tools.events))


def tools_of(kubernetes: KubernetesInMemory, **changes: Any) -> Tools:
    """For units: what is not given must not be used."""
    nothing: Any = None
    tools = Tools(
        settings=operator_settings(),
        kubernetes=kubernetes,
        sqs=nothing,
        idp=nothing,
        caches=nothing,
        scraper=Scraper(),
        releases=Releases(kubernetes),
        asker=Asker(),
        decide=desired_replicas,
        passes=asyncio.Semaphore(2),
        retries=asyncio.Semaphore(2),
    )
    return replace(tools, **changes)
