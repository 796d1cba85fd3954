"""What the scaling policy is told and what it answers.

`desired_replicas(observed: Observed, policy: Policy, now: float) -> Decision` (policy.py) is pure: whatever it needs
to remember goes out in `Decision.memory` and comes back, untouched, in the next `Observed.memory`. All times are
monotonic seconds of one clock.

Two kinds of None are kept apart. A figure named in `Observed.unreadable` could not be read: nothing may be concluded
from its absence. A figure that is None and not named there was read and has no value yet, such as the task time of a
stage that has not finished a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Figure(StrEnum):
    """Inputs of a decision that are read from elsewhere and may be unreadable."""

    BACKLOG = "backlog"
    """`visible` and `in_flight` (SQS)."""
    REPLICAS = "replicas"
    """`replicas_desired`, `replicas_ready`, `crash_looping`, `cannot_start` (Kubernetes)."""
    ARRIVALS = "arrivals"
    """`arrivals_per_second` (ingest's pods). Unreadable when any one of them did not answer."""
    TASKS = "tasks"
    """`task_seconds`, `wait_seconds`, `failing`, `outlasting`, `in_flight_by_pod` (the processor's pods)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a stage's owner asks for, and what is known about its pods."""

    wait_objective_seconds: float = 10.0
    """The wait in the queue, from acknowledgement to the start of the handler, is to stay below this."""
    min_replicas: int = 0
    max_replicas: int = 20
    slots_per_replica: int = 10
    """Tasks that one replica works on at once (its CONCURRENCY)."""
    pod_ready_seconds: float = 4.0
    """From asking for a replica to its first receive, as measured (starts.py)."""
    scale_in_stabilisation_seconds: float = 60.0
    """Replicas go only when so long no more were wanted."""
    utilisation: float = 0.7
    """Share of the slots that arrivals alone may take up, so that their wait stays short."""
    assumed_task_seconds: float = 5.0
    """Taken for the mean task time until one has been measured."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was wanted at one time, before stabilisation and bounds."""

    at: float
    replicas: int


class Reason(StrEnum):
    """Why a decision is what it is: the reason of Event and condition, and a metric's label."""

    STEADY = "Steady"
    """As many as there are."""
    FIRST_MESSAGE = "FirstMessage"
    """From zero, for there is a message."""
    ARRIVALS = "Arrivals"
    """Arrivals need more slots."""
    BACKLOG = "Backlog"
    """The backlog could not be worked off within the objective."""
    IDLE = "Idle"
    """Fewer suffice, and have sufficed for the stabilisation time."""
    STABILISING = "Stabilising"
    """Fewer would suffice, but not for long enough yet."""
    IN_FLIGHT = "InFlight"
    """Fewer would suffice, but tasks are in hand."""
    BOUNDS = "Bounds"
    """minReplicas or maxReplicas decides."""
    UNREADABLE = "MetricsUnreadable"
    """Held: something that is needed could not be read."""
    CRASH_LOOP = "ProcessorCrashLooping"
    """Held: more of what keeps dying would not help."""
    CANNOT_START = "ProcessorCannotStart"
    """Held: more of what cannot start would not help."""
    RECEIVING_PAUSED = "ReceivingPaused"
    """Held: more of what cannot receive tasks would not help."""
    FAILING = "TasksFailing"
    """Held: more of what fails would only fail faster."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why more replicas would not help."""

    reason: Reason
    seen_at: float
    """When it was last seen, which may be before it was last remembered."""
    cause: str = ""
    """As the pods say it, where they do."""
    pods: frozenset[str] = frozenset()
    """Those that received no tasks. That another receives some proves nothing: it may not have noticed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one decision hands on to the next; bounded by the policy. The observer never looks into it."""

    recommendations: tuple[Recommendation, ...] = ()
    """No older than `PATIENCE` (stabilise.py) times `scale_in_stabilisation_seconds`, each less than the one before."""
    task_seconds: float | None = None
    """The last measured mean task time, for when nothing is measured."""
    trouble: Trouble | None = None
    """Remembered until there is proof of the contrary (trouble.py)."""
    outlasted_at: float | None = None
    """When `Observed.outlasting` was last True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A stage at one moment."""

    visible: int | None = None
    """Messages that wait (SQS ApproximateNumberOfMessages, with those delayed)."""
    in_flight: int | None = None
    """Messages received and not yet deleted (SQS ApproximateNumberOfMessagesNotVisible)."""
    arrivals_per_second: float | None = None
    """Tasks accepted by all of ingest's pods together, over the last window."""
    task_seconds: float | None = None
    """Mean time in the handler of tasks that ended within the last window."""
    wait_seconds: float | None = None
    """Mean wait in the queue of tasks that were started within the last window."""
    replicas_desired: int | None = None
    """What the Deployment asks for now."""
    replicas_ready: int | None = None
    in_flight_by_pod: Mapping[str, int] = field(default_factory=dict)
    """Tasks in hand (in a slot or held back) by name of a pod that answered, ready or not."""
    busy_unready: int = 0
    """Pods with tasks in hand that are not ready. Kubernetes takes such pods first, whatever their deletion cost."""
    cannot_receive: Mapping[str, str] = field(default_factory=dict)
    """Why a processor receives no tasks, by the name of its pod: paused, or not ready for a cause that /readyz names.
    One that has only just started is not among them."""
    ready_not_receiving: int = 0
    """How many of these Kubernetes counts among `replicas_ready`."""
    crash_looping: bool = False
    """No revision of the processor works, since its containers ran and died again and again."""
    cannot_start: str = ""
    """Why no processor of any revision can start; empty while one can."""
    receives_nothing: str = ""
    """Why no revision of the processor receives tasks; empty while one does."""
    working_share: float = 1.0
    """Share of the processor's pods that work or may come to. The others are of a revision that does not, say."""
    max_surge: str = "0"
    """As `Workload.max_surge` while there are pods of two revisions, else 0."""
    not_working: str = ""
    """How many processors do not work while others do, and why; empty where all do."""
    failing: bool = False
    """Every task that ended within the last window failed, and there were enough of them to say so."""
    succeeding: bool = False
    """A task ended well within the last window."""
    outlasting: bool | None = None
    """Whether a task that ended within the last window took longer than a pod that goes has time for. None: none did
    end, so those in hand may be of any length."""
    unreadable: Mapping[Figure, str] = field(default_factory=dict)
    """Figures that could not be read, each with the reason."""
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas, and why in words for a person."""

    replicas: int
    """What is to be asked for; equal to `replicas_desired` when nothing is to change."""
    reason: Reason
    message: str
    """One sentence with the figures that decided, for Event, condition and log."""
    hold: bool = False
    """The replicas are kept because a decision would rest on too little, not because they are right."""
    cause: str = ""
    """Of a hold: why more would not help, as the pods say it, or what could not be read; it is part of `message`."""
    memory: Memory = field(default_factory=Memory)
    """For the next call."""
