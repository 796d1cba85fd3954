"""The scaling loop of one Stage, with all its inputs under the control of a test."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import REGISTRY

from k8s.operator.api.client import Json
from k8s.operator.api.events import Events
from k8s.operator.api.scrape import Scraped, Scraper
from k8s.operator.api.stage import StageObject, stage_object
from k8s.operator.api.status import Condition, ConditionType, StageStatus
from k8s.operator.context import Context
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.scaling.loop import ScalingLoop
from k8s.operator.scaling.observe import Observer
from tests.support.fakes.kubernetes import StubKubernetes, deployment

QUEUE, DEAD_LETTERS = "http://sqs/tasks", "http://sqs/dlq"
OLD_STATUS: Json = {
    "resources": {"queueUrl": QUEUE, "deadLetterQueueUrl": DEAD_LETTERS},
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "the stage takes tasks",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


class NoScraper(Scraper):
    """Reads no pods."""

    async def read_all(self, targets: object) -> list[Scraped]:
        return []


class FakeSqs:
    """Returns `counts` by queue. `asked` are the queues in the order of the requests."""

    def __init__(self) -> None:
        self.counts = {QUEUE: (0, 0), DEAD_LETTERS: (0, 0)}
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Json:  # noqa: N803 -- AWS'
        self.asked.append(QueueUrl)
        if self.error:
            raise self.error
        visible, in_flight = self.counts[QueueUrl]
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            }
        }


class ScalingLoopHarness:
    """A Stage whose Deployments reach the wanted replicas at once."""

    def __init__(self, status: Json | None = None, **scaling: Any) -> None:
        self.kubernetes, self.sqs, self.now = StubKubernetes(), FakeSqs(), 1_000.0
        self.kubernetes.deployments = [deployment("token"), deployment("ingest"), deployment("processor", 0)]
        settings = SimpleNamespace(active_poll_seconds=2.0, idle_poll_seconds=5.0, resync_seconds=300.0)
        # Only what the loop uses.
        context = SimpleNamespace(
            settings=settings,
            kubernetes=self.kubernetes,
            events=Events(self.kubernetes),
            sqs=self.sqs,
            decide=desired_replicas,
            reconcile_slots=asyncio.Semaphore(),
            retry_slots=asyncio.Semaphore(),
        )
        self.stage = self.with_scaling(status, **scaling)
        self.status = StageStatus(self.stage)
        observer = Observer(self.kubernetes, NoScraper(), self.stage.ref, clock=lambda: self.now)
        self.loop = ScalingLoop(cast("Context", context), self.status, observer, clock=lambda: self.now)

    def with_scaling(self, status: Json | None = None, generation: int = 1, **scaling: Any) -> StageObject:
        metadata = {"namespace": "n", "name": "dev", "uid": "u", "generation": generation}
        return stage_object(
            {
                "metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"stageName": "dev", "scaling": scaling},
                "status": status or {},
            }
        )

    async def run_once(self) -> float:
        return await self.loop.run_once(self.stage, QUEUE)

    async def run_for(self, seconds: float) -> list[float]:
        """Run for this time. Returns the pauses."""
        pauses, until = [], self.now + seconds
        while self.now < until:
            pauses.append(await self.run_once())
            self.now += pauses[-1]
        return pauses

    def deploy(self, component: str, replicas: int, *, available: bool = True) -> None:
        """Replace one of its Deployments."""
        others = [body for body in self.kubernetes.deployments if body["metadata"]["name"] != f"dev-{component}"]
        made = deployment(component, replicas)
        made["status"]["conditions"][0]["status"] = str(available)
        self.kubernetes.deployments = [*others, made]

    def condition(self, kind: ConditionType) -> Condition:
        found = self.status.condition(kind)
        assert found is not None
        return found

    def events(self, reason: str) -> int:
        return sum(body["reason"] == reason for _, body in self.kubernetes.created)

    def gauge(self, name: str) -> float | None:
        return REGISTRY.get_sample_value(f"notification_api_operator_{name}", {"namespace": "n", "stage": "dev"})
