"""Observes a stage: replicas and pods from Kubernetes, arrivals and tasks from the pods' metrics."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.scrape import LONG_TASK_BOUNDS, Sample, Scraped, Scraper, Target
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import PROCESSOR, Pod, Workload, read_pods
from k8s.operator.metrics import OBSERVATIONS
from k8s.operator.policy.types import Memory, Observed, Source
from k8s.operator.scaling.counter_windows import CounterWindow
from k8s.operator.scaling.pod_faults import fault_fields, not_receiving
from k8s.operator.scaling.pod_start_times import PodStartTimes
from k8s.operator.scaling.queues import QueueDepth
from k8s.operator.scaling.reported_slots import ReportedSlots
from notification_api import PermanentError, TransientError

INGEST = "ingest"
ARRIVED = ("tasks_available_total", ())
ACCEPTED = ("tasks_accepted_total", ())
ARRIVALS_WINDOW_SECONDS = 20.0
"""Long enough to measure few arrivals, short enough to follow a burst."""
TASKS_WINDOW_SECONDS = 60.0
MIN_FAILURES = 5
"""Failed tasks, and no other, from which on every task counts as failing."""
DRAIN_SHARE = 0.5
"""Share of the grace period that a running task has at least: the pod also has to stop, and to run prefetched tasks."""


@dataclass
class StageHistory:
    """What is derived from several polls of one stage."""

    arrivals: CounterWindow = field(default_factory=lambda: CounterWindow(ARRIVALS_WINDOW_SECONDS))
    tasks: CounterWindow = field(default_factory=lambda: CounterWindow(TASKS_WINDOW_SECONDS))
    slots: ReportedSlots = field(default_factory=ReportedSlots)
    start_times: PodStartTimes = field(default_factory=PodStartTimes)
    polled_at: datetime | None = None


@dataclass
class Observer:
    """Observes one stage."""

    kubernetes: Kubernetes
    scraper: Scraper
    stage: StageRef
    clock: Callable[[], float] = time.monotonic
    history: StageHistory = field(default_factory=StageHistory)

    async def observe(
        self, depth: QueueDepth | None, depth_error: str, workload: Workload | None, memory: Memory
    ) -> Observed:
        """Observe everything. What cannot be read is in `Observed.unreadable`; nothing is raised for it.

        :param depth: None if the queue could not be read, for the reason `depth_error`.
        """
        unreadable: dict[Source, str] = {}
        if depth is None:
            unreadable[Source.QUEUE] = depth_error
        pods = await self._read_pods(unreadable)
        answers = await self.scraper.read_all(Target(pod.name, pod.ip) for pod in pods if pod.ip and _is_scraped(pod))
        scraped = {answer.pod: answer for answer in answers}
        self._add_arrivals([pod for pod in pods if pod.component == INGEST], scraped, unreadable)
        tasks_by_pod = self._add_tasks([pod for pod in pods if pod.component == PROCESSOR], scraped, unreadable)
        processors = [pod for pod in pods if pod.component == PROCESSOR and not pod.terminating]
        if Source.PROCESSOR not in unreadable and (error := self._unanswered_unready(processors, scraped, depth)):
            unreadable[Source.PROCESSOR] = error
        history = self.history
        if Source.PROCESSOR not in unreadable:
            has_current_pods = workload is None or workload.has_current_pods
            history.slots.update(processors, scraped, has_current_pods=has_current_pods)
        history.polled_at = datetime.now(UTC)
        history.start_times.record({pod.name: pod.seconds_to_ready for pod in processors})
        not_receiving_pods = not_receiving(processors, scraped)
        for source in Source:
            OBSERVATIONS.labels(source.value, "unreadable" if source in unreadable else "ok").inc()
        return Observed(
            backlog=depth.visible if depth else None,
            in_flight=depth.in_flight if depth else None,
            arrivals_per_second=None if Source.INGEST in unreadable else self._arrivals_per_second(),
            task_seconds=history.tasks.mean("task_duration_seconds"),
            wait_seconds=history.tasks.mean("queue_wait_seconds"),
            replicas_desired=workload.replicas if workload else None,
            replicas_ready=workload.ready if workload else None,
            tasks_by_pod={pod.name: tasks_by_pod[pod.name] for pod in processors if pod.name in tasks_by_pod},
            busy_unready=sum(not pod.ready and tasks_by_pod.get(pod.name, 0) > 0 for pod in processors),
            not_receiving_pods=not_receiving_pods,
            ready_not_receiving=sum(pod.ready and pod.name in not_receiving_pods for pod in processors),
            all_tasks_failed=self._all_tasks_failed(),
            any_task_finished=history.tasks.increase("task_duration_seconds_count", outcome="finished") > 0,
            tasks_outlast_drain=self._tasks_outlast_drain(workload),
            unreadable=unreadable,
            memory=memory,
            **fault_fields(processors, not_receiving_pods, workload),
        )

    async def _read_pods(self, unreadable: dict[Source, str]) -> list[Pod]:
        try:
            return [pod for pod in await read_pods(self.kubernetes, self.stage) if pod.is_of_release]
        except (TransientError, PermanentError) as error:
            for source in (Source.KUBERNETES, Source.INGEST, Source.PROCESSOR):
                unreadable[source] = str(error)
            return []

    def _add_arrivals(self, pods: list[Pod], scraped: dict[str, Scraped], unreadable: dict[Source, str]) -> None:
        if Source.INGEST in unreadable:
            return
        # A terminating pod accepts no tasks, and a pod that is not ready gets no requests.
        if error := _unanswered_ready([pod for pod in pods if not pod.terminating], scraped):
            unreadable[Source.INGEST] = error
        samples = self._samples(pods, scraped)
        self.history.arrivals.add(self.clock(), [(pod, _arrived(sample), is_new) for pod, sample, is_new in samples])

    def _add_tasks(self, pods: list[Pod], scraped: dict[str, Scraped], unreadable: dict[Source, str]) -> dict[str, int]:
        """Add the counters of tasks, and return the tasks of each pod that answered."""
        if Source.PROCESSOR in unreadable:
            return {}
        if error := _unanswered_ready([pod for pod in pods if not pod.terminating], scraped):
            unreadable[Source.PROCESSOR] = error
        samples = self._samples(pods, scraped)
        self.history.tasks.add(self.clock(), samples)
        return {
            pod: int(sample.get(("tasks_in_process", ()), 0) + sample.get(("tasks_waiting", ()), 0))
            for pod, sample, _ in samples
        }

    def _unanswered_unready(self, pods: list[Pod], scraped: dict[str, Scraped], depth: QueueDepth | None) -> str:
        """The first pod that is not ready, did not answer and may have tasks, with the error."""
        polled_at = self.history.polled_at
        if depth is None or not depth.in_flight or polled_at is None:
            return ""
        for pod in pods:
            answer = scraped.get(pod.name)
            if pod.ready or answer is None or answer.sample is not None or answer.is_closed or pod.runs_since is None:
                continue
            if pod.runs_since < polled_at:
                return f"pod {pod.name}, not ready: {answer.error}"
        return ""

    def _samples(self, pods: list[Pod], scraped: dict[str, Scraped]) -> list[tuple[str, Sample, bool]]:
        answered = [(pod, scraped[pod.name].sample) for pod in pods if pod.name in scraped]
        return [(pod.name, sample, self._is_new(pod)) for pod, sample in answered if sample is not None]

    def _is_new(self, pod: Pod) -> bool:
        polled_at = self.history.polled_at
        if polled_at is None or pod.started_at is None:
            return False
        return datetime.fromisoformat(pod.started_at) >= polled_at

    def _arrivals_per_second(self) -> float | None:
        seconds = self.history.arrivals.seconds()
        return self.history.arrivals.increase(ARRIVED[0]) / seconds if seconds else None

    def _all_tasks_failed(self) -> bool:
        failed = self.history.tasks.increase("task_duration_seconds_count", outcome="failed")
        return failed >= MIN_FAILURES and failed == self.history.tasks.increase("task_duration_seconds_count")

    def _tasks_outlast_drain(self, workload: Workload | None) -> bool | None:
        ended = self.history.tasks.increase("task_duration_seconds_count")
        grace = workload.grace_seconds if workload else 0.0
        bound = max((bound for bound in LONG_TASK_BOUNDS if bound <= grace * DRAIN_SHARE), default=None)
        if not ended or bound is None:
            return None
        return self.history.tasks.increase("task_duration_seconds_bucket", le=str(bound)) < ended


def _arrived(sample: Sample) -> Sample:
    """A delayed task arrives when its delay has passed. An ingest of an earlier version only counts what it accepts."""
    return {ARRIVED: sample.get(ARRIVED, sample.get(ACCEPTED, 0.0))}


def _is_scraped(pod: Pod) -> bool:
    """Ready pods, and processors that run without being ready, since they may have tasks."""
    return pod.ready or (pod.component == PROCESSOR and pod.runs_since is not None and not pod.terminating)


def _unanswered_ready(pods: list[Pod], scraped: dict[str, Scraped]) -> str:
    """The first ready pod that did not answer, with the error; empty if all did."""
    for pod in pods:
        if pod.ready and (answer := scraped.get(pod.name)) is not None and answer.sample is None:
            return f"pod {pod.name}: {answer.error}"
    return ""
