"""Input and output of the scaling policy.

`desired_replicas(observed, policy, now) -> Decision` (decide.py) is pure. What it has to remember is returned in
`Decision.memory` and passed back unchanged in the next `Observed.memory`. All times are monotonic seconds of one clock.

A value of `Observed` can be None for two reasons. Either its source is in `Observed.unreadable`: it could not be read,
and nothing follows from its absence. Or it was read and has no value yet, such as the task time before the first task
has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where observed values come from; also a label of `scaling_observations_total`."""

    QUEUE = "queue"
    """SQS: `backlog` and `in_flight`."""
    KUBERNETES = "kubernetes"
    """Deployments and pods: `replicas_desired`, `replicas_ready`, `crash_looping`, `cannot_start`."""
    INGEST = "ingest"
    """Metrics of ingest's pods: `arrivals_per_second`. Unreadable if any pod did not answer."""
    PROCESSOR = "processor"
    """Metrics of the processor's pods: `task_seconds`, `wait_seconds`, `tasks_by_pod` and what follows from tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The scaling settings of a Stage, and what is known about its pods."""

    wait_objective_seconds: float = 10.0
    """The longest wait in the queue to aim for, from the `202` to the start of the handler."""
    min_replicas: int = 0
    max_replicas: int = 20
    slots_per_replica: int = 10
    """Tasks that a replica runs at once: its CONCURRENCY, or fewer where limits of task types apply."""
    pod_ready_seconds: float = 4.0
    """From the request for a replica to its first receive, as measured (`pod_start_times.py`)."""
    scale_in_stabilisation_seconds: float = 60.0
    """Replicas are removed only if fewer have been enough for this time."""
    utilisation: float = 0.7
    """Share of the slots that arrivals may occupy. The free slots keep the wait short."""
    assumed_task_seconds: float = 5.0
    """The mean task time until one has been measured."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The replicas that were needed at one time: within minReplicas and maxReplicas, before stabilisation."""

    at: float
    replicas: int


class ScalingReason(StrEnum):
    """Why a decision is what it is: `status.scaling.decision.reason` and a label of `scaling_decisions_total`.

    Those that block scaling are also the reason of the condition `Scaling`. A change of the replicas is an Event
    `ScaledOut` or `ScaledIn`, whose message explains the reason.
    """

    STEADY = "Steady"
    """The current replicas are needed."""
    FROM_ZERO = "FromZero"
    """There are no replicas, and there are tasks."""
    ARRIVAL_RATE = "ArrivalRate"
    """Arrivals need more slots."""
    BACKLOG = "Backlog"
    """The waiting tasks would not all start within the objective."""
    FEWER_NEEDED = "FewerNeeded"
    """Fewer replicas have been enough for the stabilisation time."""
    STABILISING = "Stabilising"
    """Fewer replicas are enough, but have not been for the stabilisation time."""
    TASKS_IN_FLIGHT = "TasksInFlight"
    """Fewer replicas are enough, but the others have tasks."""
    BOUNDS = "Bounds"
    """minReplicas or maxReplicas decides."""
    UNREADABLE = "MetricsUnreadable"
    """Blocked: a value that is needed could not be read."""
    CRASH_LOOP = "ProcessorCrashLooping"
    """Blocked: more replicas would crash too."""
    CANNOT_START = "ProcessorCannotStart"
    """Blocked: more replicas would not start either."""
    RECEIVING_PAUSED = "ReceivingPaused"
    """Blocked: more replicas would receive no tasks either."""
    TASKS_FAILING = "TasksFailing"
    """Blocked: more replicas would only fail more tasks."""


@dataclass(frozen=True, slots=True)
class ProcessorFault:
    """Why more replicas would not help."""

    reason: ScalingReason
    seen_at: float
    """When it was last observed."""
    cause: str = ""
    """As Kubernetes or the pods state it, if they do."""
    pods: frozenset[str] = frozenset()
    """The pods that received no tasks. Others may receive some only because they have not noticed the cause yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one decision passes to the next. Its size is bounded. Only the policy reads it."""

    recommendations: tuple[Recommendation, ...] = ()
    """Each smaller than the one before, none older than `BUSY_STABILISATION_PERIODS` (stabilise.py) allows."""
    task_seconds: float | None = None
    """The latest measured mean task time, used while none is measured."""
    fault: ProcessorFault | None = None
    """Kept until observations show that it is over (health.py)."""
    outlasted_drain_at: float | None = None
    """When `Observed.tasks_outlast_drain` was last True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A stage at one moment."""

    backlog: int | None = None
    """Messages visible (SQS ApproximateNumberOfMessages). Those with a delay that has not passed do not count."""
    in_flight: int | None = None
    """Messages received and not deleted (SQS ApproximateNumberOfMessagesNotVisible)."""
    arrivals_per_second: float | None = None
    """Tasks that became available, of all of ingest's pods together, over the latest window."""
    task_seconds: float | None = None
    """Mean time in the handler of tasks that ended within the latest window."""
    wait_seconds: float | None = None
    """Mean wait in the queue of tasks that started within the latest window."""
    replicas_desired: int | None = None
    """The Deployment's `spec.replicas`."""
    replicas_ready: int | None = None
    tasks_by_pod: Mapping[str, int] = field(default_factory=dict)
    """Tasks, running or prefetched, of each pod that answered, ready or not."""
    busy_unready: int = 0
    """Pods that have tasks and are not ready. Kubernetes removes such pods first, whatever their deletion cost."""
    not_receiving_pods: Mapping[str, str] = field(default_factory=dict)
    """Pods of the processor that receive no tasks, with the cause: paused, or not ready for a cause that /readyz
    names. Pods that have only just started are not among them."""
    ready_not_receiving: int = 0
    """How many of these pods are among `replicas_ready`."""
    crash_looping: bool = False
    """No revision of the processor works, since its containers crash repeatedly."""
    cannot_start: str = ""
    """Why no pod of any revision of the processor can start; empty if one can."""
    cannot_receive: str = ""
    """Why no revision of the processor receives tasks; empty if one does."""
    working_share: float = 1.0
    """Share of the processor's pods that work or may still start. Below 1 while, for example, a new revision fails."""
    max_surge: str = "0"
    """As `Workload.max_surge` while pods of two revisions exist, else 0."""
    fault_summary: str = ""
    """How many pods of the processor do not work although others do, and why; empty if all work."""
    all_tasks_failed: bool = False
    """Every task that ended within the latest window failed, and enough tasks ended to conclude something."""
    any_task_finished: bool = False
    """A task finished within the latest window."""
    tasks_outlast_drain: bool | None = None
    """Whether a task that ended within the latest window took longer than a pod has to drain. None: no task ended, so
    running tasks may be of any length."""
    unreadable: Mapping[Source, str] = field(default_factory=dict)
    """Sources that could not be read, with the reason."""
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas, and why."""

    replicas: int
    """Equal to `replicas_desired` if nothing changes."""
    reason: ScalingReason
    message: str
    """One sentence with the values that decided, for Event, condition and log."""
    blocked: bool = False
    """The policy would need more knowledge, or a processor that works, to choose the replicas."""
    cause: str = ""
    """If blocked: what could not be read, or the processor's fault; it is part of `message`."""
    memory: Memory = field(default_factory=Memory)
    """For the next call."""
