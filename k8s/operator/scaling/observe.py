"""What a stage's work looks like now: the queue from SQS, replicas from Kubernetes, the rest from the pods."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.scrape import LONG_TASK_BOUNDS, Sample, Scraped, Scraper, Target
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import PROCESSOR, Pod, Workload, read_pods
from k8s.operator.metrics import OBSERVATIONS
from k8s.operator.policy.types import Figure, Memory, Observed
from k8s.operator.resources.aws import aws_call
from k8s.operator.scaling.counter_windows import Increases
from k8s.operator.scaling.faults import health, why_not_receiving
from k8s.operator.scaling.pod_start_times import StartTimes
from k8s.operator.scaling.slots import Slots
from services.common.errors import PermanentError, Transient

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

INGEST = "ingest"
DEPTH_SECONDS = 3.0
"""For one reading of the queue: a queue that cannot be read is a problem to report within seconds."""
ARRIVALS_WINDOW_SECONDS = 20.0
"""Long enough to see a steady trickle, short enough to follow a burst."""
TASKS_WINDOW_SECONDS = 60.0
FAILURES_TO_SAY_SO = 5
DRAIN_SHARE = 0.5
"""Of the grace period: what a task in hand may count on, after a pod's own stopping and with tasks held back."""


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue's counts; SQS calls them approximate."""

    visible: int
    in_flight: int

    @property
    def is_empty(self) -> bool:
        return not self.visible and not self.in_flight


async def read_depth(sqs: "SQSClient", queue_url: str) -> Depth:
    """Ask SQS; costs one request. Raises `Transient` or `Permanent`."""
    async with aws_call("sqs:GetQueueAttributes", queue_url, DEPTH_SECONDS):
        answer = await sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )
    counts = answer["Attributes"]
    return Depth(
        visible=int(counts["ApproximateNumberOfMessages"]) + int(counts.get("ApproximateNumberOfMessagesDelayed", 0)),
        in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
    )


@dataclass
class Work:
    """One stage's counters over time."""

    arrivals: Increases = field(default_factory=lambda: Increases(ARRIVALS_WINDOW_SECONDS))
    tasks: Increases = field(default_factory=lambda: Increases(TASKS_WINDOW_SECONDS))
    looked_at: datetime | None = None
    slots: Slots = field(default_factory=Slots)
    starts: StartTimes = field(default_factory=StartTimes)


@dataclass
class Observer:
    """Looks at one stage."""

    kubernetes: Kubernetes
    scraper: Scraper
    stage: StageRef
    clock: Callable[[], float] = time.monotonic
    work: Work = field(default_factory=Work)

    async def observe(self, depth: Depth | None, why_not: str, workload: Workload | None, memory: Memory) -> Observed:
        """Everything at once. What cannot be read is named, with the reason, and nothing is raised for it."""
        unreadable: dict[Figure, str] = {}
        if depth is None:
            unreadable[Figure.BACKLOG] = why_not
        pods = await self._pods(unreadable)
        scraped = await self.scraper.read_all(Target(pod.name, pod.ip) for pod in pods if pod.ip and _is_asked(pod))
        by_pod = {one.pod: one for one in scraped}
        self._arrivals([pod for pod in pods if pod.component == INGEST], by_pod, unreadable)
        told = self._tasks([pod for pod in pods if pod.component == PROCESSOR], by_pod, unreadable)
        processors = [pod for pod in pods if pod.component == PROCESSOR and not pod.terminating]
        if Figure.TASKS not in unreadable and (silent := self._silent(processors, by_pod, depth)):
            unreadable[Figure.TASKS] = silent
        if Figure.TASKS not in unreadable:
            self.work.slots.see(processors, by_pod, has_current_pods=workload is None or workload.has_current_pods)
        self.work.looked_at = datetime.now(UTC)
        self.work.starts.note({pod.name: pod.seconds_to_ready for pod in processors})
        cannot_receive = why_not_receiving(processors, by_pod)
        for figure in Figure:
            OBSERVATIONS.labels(figure.value, "unreadable" if figure in unreadable else "ok").inc()
        return Observed(
            visible=depth.visible if depth else None,
            in_flight=depth.in_flight if depth else None,
            arrivals_per_second=None if Figure.ARRIVALS in unreadable else self._arrivals_per_second(),
            task_seconds=_mean(self.work.tasks, "task_duration_seconds"),
            wait_seconds=_mean(self.work.tasks, "queue_wait_seconds"),
            replicas_desired=workload.replicas if workload else None,
            replicas_ready=workload.ready if workload else None,
            in_flight_by_pod={pod.name: told[pod.name] for pod in processors if pod.name in told},
            busy_unready=sum(not pod.ready and told.get(pod.name, 0) > 0 for pod in processors),
            cannot_receive=cannot_receive,
            ready_not_receiving=sum(pod.ready and pod.name in cannot_receive for pod in processors),
            failing=self._is_failing(),
            succeeding=self.work.tasks.total("task_duration_seconds_count", outcome="finished") > 0,
            outlasting=self._is_outlasting(workload),
            unreadable=unreadable,
            memory=memory,
            **health(processors, cannot_receive, workload),
        )

    async def _pods(self, unreadable: dict[Figure, str]) -> list[Pod]:
        try:
            return [pod for pod in await read_pods(self.kubernetes, self.stage) if pod.is_of_release]
        except (Transient, PermanentError) as error:
            for figure in (Figure.REPLICAS, Figure.ARRIVALS, Figure.TASKS):
                unreadable[figure] = str(error)
            return []

    def _arrivals(self, pods: list[Pod], scraped: dict[str, Scraped], unreadable: dict[Figure, str]) -> None:
        if Figure.ARRIVALS in unreadable:
            return
        # Pods that shut down have been told to refuse work; those that are not ready get none.
        missing = _unanswered([pod for pod in pods if not pod.terminating], scraped)
        if missing:
            unreadable[Figure.ARRIVALS] = missing
        self.work.arrivals.add(self.clock(), self._samples(pods, scraped))

    def _tasks(self, pods: list[Pod], scraped: dict[str, Scraped], unreadable: dict[Figure, str]) -> dict[str, int]:
        if Figure.TASKS in unreadable:
            return {}
        missing = _unanswered([pod for pod in pods if not pod.terminating], scraped)
        if missing:
            unreadable[Figure.TASKS] = missing
        samples = list(self._samples(pods, scraped))
        self.work.tasks.add(self.clock(), samples)
        return {
            pod: int(sample.get(("tasks_in_process", ()), 0) + sample.get(("tasks_waiting", ()), 0))
            for pod, sample, _ in samples
        }

    def _silent(self, pods: list[Pod], scraped: dict[str, Scraped], depth: Depth | None) -> str:
        """The first pod that is not ready, does not answer and may have tasks in hand for all that is known."""
        if depth is None or not depth.in_flight or self.work.looked_at is None:
            return ""
        for pod in pods:
            one = scraped.get(pod.name)
            if pod.ready or one is None or one.sample is not None or one.is_closed or pod.runs_since is None:
                continue
            if pod.runs_since < self.work.looked_at:
                return f"pod {pod.name}, not ready: {one.error}"
        return ""

    def _samples(self, pods: list[Pod], scraped: dict[str, Scraped]) -> list[tuple[str, Sample, bool]]:
        answered = [(pod, scraped[pod.name].sample) for pod in pods if pod.name in scraped]
        return [(pod.name, sample, self._is_new(pod)) for pod, sample in answered if sample is not None]

    def _is_new(self, pod: Pod) -> bool:
        if self.work.looked_at is None or pod.started_at is None:
            return False
        return datetime.fromisoformat(pod.started_at) >= self.work.looked_at

    def _arrivals_per_second(self) -> float | None:
        seconds = self.work.arrivals.seconds()
        return self.work.arrivals.total("tasks_accepted_total") / seconds if seconds else None

    def _is_failing(self) -> bool:
        failed = self.work.tasks.total("task_duration_seconds_count", outcome="failed")
        return failed >= FAILURES_TO_SAY_SO and failed == self.work.tasks.total("task_duration_seconds_count")

    def _is_outlasting(self, workload: Workload | None) -> bool | None:
        ended = self.work.tasks.total("task_duration_seconds_count")
        grace = workload.grace_seconds if workload else 0.0
        bound = max((bound for bound in LONG_TASK_BOUNDS if bound <= grace * DRAIN_SHARE), default=None)
        if not ended or bound is None:
            return None
        return self.work.tasks.total("task_duration_seconds_bucket", le=str(bound)) < ended


def _is_asked(pod: Pod) -> bool:
    """Those that are ready, and processors that are not but run: they may have tasks in hand all the same."""
    return pod.ready or (pod.component == PROCESSOR and pod.runs_since is not None and not pod.terminating)


def _unanswered(pods: list[Pod], scraped: dict[str, Scraped]) -> str:
    """The first of the ready pods that did not answer, and why; empty when all did."""
    for pod in pods:
        if pod.ready and (one := scraped.get(pod.name)) is not None and one.sample is None:
            return f"pod {pod.name}: {one.error}"
    return ""


def _mean(increases: Increases, name: str) -> float | None:
    count = increases.total(f"{name}_count")
    return increases.total(f"{name}_sum") / count if count else None
