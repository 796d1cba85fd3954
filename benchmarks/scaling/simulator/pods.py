"""Pods: asked for, ready some seconds later, working on as many tasks as they have slots, drained when they go."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation, Task
from benchmarks.scaling.simulator.figures import Account


@dataclass(slots=True, eq=False)
class Pod:
    """One pod."""

    number: int
    asked_at: float
    ready_at: float | None = None
    going: bool = False
    gone: bool = False
    tasks: list[Task] = field(default_factory=list)


Choice = Callable[[Iterable[Pod]], list[Pod]]
"""Sorts pods, those to go first first."""


class Pods:
    """A Deployment's pods and the work they do."""

    def __init__(self, simulation: Simulation, account: Account, choice: Choice) -> None:
        self._simulation = simulation
        self._account = account
        self._choice = choice
        self._made = 0
        self._free: list[Pod] = []
        self.pods: list[Pod] = []
        """Those that are not asked to go."""

    @property
    def replicas(self) -> int:
        return len(self.pods)

    @property
    def ready(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.ready_at is not None]

    def scale(self, replicas: int) -> None:
        """Ask for so many."""
        if replicas == self.replicas:
            return
        self._account.changed(self._simulation.now, replicas)
        while self.replicas < replicas:
            self._add()
        if self.replicas > replicas:
            for pod in self._choice(self.pods)[: self.replicas - replicas]:
                self._let_go(pod)

    def offer(self) -> None:
        """Long polls are open wherever there are free slots; which of them gets a message is chance."""
        simulation = self._simulation
        while simulation.visible and self._free:
            index = simulation.rng.randrange(len(self._free))
            pod = self._free[index]
            self._start(pod, simulation.visible.popleft())
            if len(pod.tasks) >= simulation.world.slots:
                self._free[index] = self._free[-1]
                self._free.pop()

    def _add(self) -> None:
        simulation = self._simulation
        self._made += 1
        pod = Pod(self._made, simulation.now)
        self.pods.append(pod)
        simulation.at(simulation.now + simulation.world.pod_ready_seconds, partial(self._become_ready, pod))

    def _become_ready(self, pod: Pod) -> None:
        if pod.going:
            return
        pod.ready_at = self._simulation.now
        self._free.append(pod)
        self.offer()

    def _start(self, pod: Pod, task: Task) -> None:
        simulation = self._simulation
        simulation.start(task)
        pod.tasks.append(task)
        simulation.at(simulation.now + task.seconds, partial(self._end, pod, task))

    def _end(self, pod: Pod, task: Task) -> None:
        if pod.gone:
            return  # it was handed back
        was_full = len(pod.tasks) >= self._simulation.world.slots
        pod.tasks.remove(task)
        self._simulation.end(task)
        if pod.going:
            if not pod.tasks:
                self._gone(pod)
            return
        if was_full:
            self._free.append(pod)
        self.offer()

    def _let_go(self, pod: Pod) -> None:
        simulation = self._simulation
        pod.going = True
        self.pods.remove(pod)
        if pod in self._free:
            self._free.remove(pod)
        if pod.tasks:
            simulation.at(simulation.now + simulation.world.drain_seconds, partial(self._cut_off, pod))
        else:
            self._gone(pod)

    def _cut_off(self, pod: Pod) -> None:
        if pod.gone:
            return
        for task in pod.tasks:
            self._account.interrupted += 1
            self._simulation.hand_back(task)
        pod.tasks.clear()
        self._gone(pod)
        self.offer()

    def _gone(self, pod: Pod) -> None:
        pod.gone = True
        self._account.pod_seconds += self._simulation.now - pod.asked_at

    def close(self) -> None:
        """Count what is still there at the end."""
        for pod in self.pods:
            self._account.pod_seconds += self._simulation.now - pod.asked_at
