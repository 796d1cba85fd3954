"""A simulated stage with a faulty processor that the scaling policy scales from zero."""

from dataclasses import dataclass, field

from k8s.operator.policy.decide import desired_replicas
from k8s.operator.policy.types import Memory, Observed, Policy, ScalingReason

POLL_SECONDS = 2.0
START_SECONDS = 4.0
WINDOW_SECONDS = 60.0
ENOUGH_FAILURES = 5
FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS = 10.0, 300.0
"""The kubelet's backoff doubles from the one to the other."""


@dataclass(eq=False)
class Pod:
    """One pod of the processor, whose container runs from `runs_from` on."""

    runs_from: float
    restarts: int = 0
    tasks: list[float] = field(default_factory=list)
    """When its running tasks end."""


@dataclass
class FaultyStage:
    """Its faults can be changed while it runs.

    :param lives: seconds until each process crashes.
    :param fails: every task fails.
    :param cannot_start: no process starts.
    :param is_paused: no process receives tasks.
    """

    waiting: int = 2_000
    lives: float | None = None
    is_ready_before_it_dies: bool = False
    fails: bool = False
    cannot_start: bool = False
    is_paused: bool = False
    task_seconds: float = 5.0
    backoff_seconds: float = 120.0
    """Backoff of a failed task, longer than the window of ended tasks."""
    policy: Policy = field(default_factory=lambda: Policy(max_replicas=20, slots_per_replica=20))
    now: float = 0.0
    pods: list[Pod] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)
    """What was decided, poll by poll."""
    reasons: set[ScalingReason] = field(default_factory=set)
    _memory: Memory = field(default_factory=Memory)
    _hidden: list[float] = field(default_factory=list)
    _ended: list[tuple[float, bool]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self._work()
            decision = desired_replicas(self._observed(), self.policy, self.now)
            self._memory = decision.memory
            self.reasons.add(decision.reason)
            self.replicas.append((self.now, decision.replicas))
            self._scale(decision.replicas)
            self.now += POLL_SECONDS

    def _runs(self, pod: Pod) -> bool:
        return pod.runs_from <= self.now

    def _is_ready(self, pod: Pod) -> bool:
        return not self.cannot_start and self._runs(pod) and (self.lives is None or self.is_ready_before_it_dies)

    def _work(self) -> None:
        back = [at for at in self._hidden if at <= self.now]
        self._hidden = [at for at in self._hidden if at > self.now]
        self.waiting += len(back)
        for pod in self.pods:
            if self.lives is not None and pod.runs_from + self.lives <= self.now:
                pod.runs_from = self.now + min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2**pod.restarts)
                pod.restarts += 1
                self.waiting += len(pod.tasks)
                pod.tasks.clear()
            self._end_tasks(pod)
            if self._is_ready(pod) and not self.is_paused:
                taken = min(self.waiting, self.policy.slots_per_replica - len(pod.tasks))
                self.waiting -= taken
                pod.tasks += [self.now + self.task_seconds] * taken

    def _end_tasks(self, pod: Pod) -> None:
        ended = [at for at in pod.tasks if at <= self.now]
        pod.tasks = [at for at in pod.tasks if at > self.now]
        self._ended += [(self.now, not self.fails)] * len(ended)
        if self.fails:
            self._hidden += [self.now + self.backoff_seconds] * len(ended)

    def _observed(self) -> Observed:
        lately = [well for at, well in self._ended if at > self.now - WINDOW_SECONDS]
        stuck = [pod for pod in self.pods if pod.restarts and not self._runs(pod)]
        by_pod = [len(pod.tasks) for pod in self.pods]
        paused = [pod for pod in self.pods if self.is_paused and self._is_ready(pod)]
        return Observed(
            backlog=self.waiting,
            in_flight=sum(by_pod) + len(self._hidden),
            arrivals_per_second=0.0,
            task_seconds=self.task_seconds if lately else None,
            replicas_desired=len(self.pods),
            replicas_ready=sum(self._is_ready(pod) for pod in self.pods),
            tasks_by_pod={str(number): tasks for number, tasks in enumerate(by_pod)},
            crash_looping=bool(self.pods) and 2 * len(stuck) >= len(self.pods),
            cannot_start="ImagePullBackOff" if self.cannot_start and self.pods else "",
            not_receiving_pods={str(number): "key refused" for number in range(len(paused))},
            ready_not_receiving=len(paused),
            cannot_receive="key refused" if 2 * len(paused) > len(self.pods) else "",
            all_tasks_failed=len(lately) >= ENOUGH_FAILURES and not any(lately),
            any_task_finished=any(lately),
            tasks_outlast_drain=False if lately else None,
            memory=self._memory,
        )

    def _scale(self, replicas: int) -> None:
        while len(self.pods) < replicas:
            self.pods.append(Pod(self.now + START_SECONDS))
        self.pods.sort(key=lambda pod: (not self._is_ready(pod), -len(pod.tasks)))
        for pod in self.pods[replicas:]:  # drained: its tasks end as before
            self._hidden += [at + self.backoff_seconds for at in pod.tasks] if self.fails else []
        del self.pods[replicas:]
