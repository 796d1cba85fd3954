"""The pods of a Deployment: requested, ready some seconds later, with slots for tasks, drained when removed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.scaling.simulator.engine import Simulation, Task
from benchmarks.scaling.simulator.results import Recording


@dataclass(slots=True, eq=False)
class Pod:
    """One pod."""

    number: int
    requested_at: float
    ready_at: float | None = None
    is_terminating: bool = False
    has_terminated: bool = False
    tasks: list[Task] = field(default_factory=list)


RemovalOrder = Callable[[Iterable[Pod]], list[Pod]]
"""Sorts pods; the first are removed first."""


class Pods:
    """A Deployment's pods and their tasks."""

    def __init__(self, simulation: Simulation, recording: Recording, removal_order: RemovalOrder) -> None:
        self._simulation = simulation
        self._recording = recording
        self._removal_order = removal_order
        self._created = 0
        self._with_free_slots: list[Pod] = []
        self.pods: list[Pod] = []
        """Those that are not terminating."""

    @property
    def replicas(self) -> int:
        return len(self.pods)

    @property
    def ready(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.ready_at is not None]

    def scale(self, replicas: int) -> None:
        """Set the number of replicas."""
        if replicas == self.replicas:
            return
        self._recording.change_replicas(self._simulation.now, replicas)
        while self.replicas < replicas:
            self._create()
        if self.replicas > replicas:
            for pod in self._removal_order(self.pods)[: self.replicas - replicas]:
                self._terminate(pod)

    def offer(self) -> None:
        """Give each visible task to a random pod with a free slot: all of these have a long poll open."""
        simulation, free = self._simulation, self._with_free_slots
        while simulation.visible and free:
            index = simulation.rng.randrange(len(free))
            pod = free[index]
            self._start(pod, simulation.visible.popleft())
            if len(pod.tasks) >= simulation.config.slots:
                free[index] = free[-1]
                free.pop()

    def close(self) -> None:
        """Count the pod-seconds of the pods that still exist at the end."""
        for pod in self.pods:
            self._recording.pod_seconds += self._simulation.now - pod.requested_at

    def _create(self) -> None:
        simulation = self._simulation
        self._created += 1
        pod = Pod(self._created, simulation.now)
        self.pods.append(pod)
        simulation.at(simulation.now + simulation.config.pod_ready_seconds, partial(self._become_ready, pod))

    def _become_ready(self, pod: Pod) -> None:
        if pod.is_terminating:
            return
        pod.ready_at = self._simulation.now
        self._with_free_slots.append(pod)
        self.offer()

    def _start(self, pod: Pod, task: Task) -> None:
        simulation = self._simulation
        simulation.start(task)
        pod.tasks.append(task)
        simulation.at(simulation.now + task.seconds, partial(self._end, pod, task))

    def _end(self, pod: Pod, task: Task) -> None:
        if pod.has_terminated:
            return  # the task was requeued
        was_full = len(pod.tasks) >= self._simulation.config.slots
        pod.tasks.remove(task)
        self._simulation.end(task)
        if pod.is_terminating:
            if not pod.tasks:
                self._finish_termination(pod)
            return
        if was_full:
            self._with_free_slots.append(pod)
        self.offer()

    def _terminate(self, pod: Pod) -> None:
        simulation = self._simulation
        pod.is_terminating = True
        self.pods.remove(pod)
        if pod in self._with_free_slots:
            self._with_free_slots.remove(pod)
        if pod.tasks:
            simulation.at(simulation.now + simulation.config.drain_seconds, partial(self._interrupt, pod))
        else:
            self._finish_termination(pod)

    def _interrupt(self, pod: Pod) -> None:
        if pod.has_terminated:
            return
        for task in pod.tasks:
            self._recording.interrupted += 1
            self._simulation.requeue(task)
        pod.tasks.clear()
        self._finish_termination(pod)
        self.offer()

    def _finish_termination(self, pod: Pod) -> None:
        pod.has_terminated = True
        self._recording.pod_seconds += self._simulation.now - pod.requested_at
