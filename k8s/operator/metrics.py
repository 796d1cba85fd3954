"""What the operator measures. A stage is two bounded labels; its series go with it."""

from prometheus_client import Counter, Gauge, Histogram

PREFIX = "notification_api_operator"
STAGE = ("namespace", "stage")

STAGES = Gauge("stages", "Stages that are looked after.", namespace=PREFIX)
KUBERNETES_CALLS = Counter("kubernetes_calls", "Calls to the Kubernetes API.", ("verb", "outcome"), namespace=PREFIX)
PASSES = Counter("reconciles", "Passes over a stage, by kind and outcome.", ("kind", "outcome"), namespace=PREFIX)
PASS_SECONDS = Histogram(
    "reconcile_duration_seconds",
    "Time of a pass over a stage.",
    ("kind",),
    namespace=PREFIX,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
CHANGES = Counter("changes", "Writes to AWS and Momento for stages.", namespace=PREFIX)
CONDITION = Gauge("stage_condition", "1 where a condition of a stage is True.", (*STAGE, "condition"), namespace=PREFIX)
LAST_PASS = Gauge(
    "last_reconcile_timestamp_seconds", "When a stage was last found or put in order.", STAGE, namespace=PREFIX
)
TAKEN_UP = Gauge(
    "stage_first_seen_timestamp_seconds", "When this operator began to look after a stage.", STAGE, namespace=PREFIX
)
DELETED = Gauge("deletion_timestamp_seconds", "When a stage was deleted that is still there.", STAGE, namespace=PREFIX)
WATCH_BEHIND = Gauge(
    "watch_lag_seconds", "Since when the watch has not delivered something that a list shows.", namespace=PREFIX
)
TIME_TO_READY = Histogram(
    "time_to_ready_seconds",
    "From the creation of a Stage to its first being Ready.",
    namespace=PREFIX,
    buckets=(1, 2.5, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 900),
)

OBSERVATIONS = Counter(
    "scaling_observations", "Looks at a stage's work, by figure and outcome.", ("source", "outcome"), namespace=PREFIX
)
VISIBLE = Gauge("scaling_messages_visible", "Messages that wait.", STAGE, namespace=PREFIX)
IN_FLIGHT = Gauge("scaling_messages_in_flight", "Messages received and not yet deleted.", STAGE, namespace=PREFIX)
ARRIVALS = Gauge("scaling_arrivals_per_second", "Tasks accepted a second, as measured.", STAGE, namespace=PREFIX)
TASK_SECONDS = Gauge("scaling_task_seconds", "Mean time in the handler, as measured.", STAGE, namespace=PREFIX)
WAIT_SECONDS = Gauge("scaling_wait_seconds", "Mean wait in the queue, as measured.", STAGE, namespace=PREFIX)
OBJECTIVE = Gauge("scaling_wait_objective_seconds", "The wait that is to be kept.", STAGE, namespace=PREFIX)
REPLICAS_READY = Gauge("scaling_replicas_ready", "Processors that are ready.", STAGE, namespace=PREFIX)
REPLICAS = Gauge("scaling_replicas", "Processors asked for at present.", STAGE, namespace=PREFIX)
DECIDED = Gauge("scaling_replicas_desired", "Processors that the policy wants.", STAGE, namespace=PREFIX)
BLOCKED = Gauge("scaling_blocked", "1 while replicas are held for want of knowledge.", STAGE, namespace=PREFIX)
POD_READY_SECONDS = Gauge(
    "scaling_pod_ready_seconds",
    "From the creation of a processor's pod to its being ready: the mean of the last 20.",
    STAGE,
    namespace=PREFIX,
)
BACKLOG_SECONDS = Gauge(
    "backlog_seconds",
    "Since when the queue has not been seen without waiting messages: none has waited for longer.",
    STAGE,
    namespace=PREFIX,
)
DEAD_LETTERS = Gauge("dead_letters", "Messages in the dead-letter queue.", STAGE, namespace=PREFIX)
DECISIONS = Counter("scaling_decisions", "Decisions by reason.", (*STAGE, "reason"), namespace=PREFIX)
SCALED = Counter("scaling_changes", "Changes of the replica count.", (*STAGE, "direction"), namespace=PREFIX)

_OF_SCALING = (
    VISIBLE, IN_FLIGHT, ARRIVALS, TASK_SECONDS, WAIT_SECONDS, OBJECTIVE,
    REPLICAS_READY, REPLICAS, DECIDED, BLOCKED, POD_READY_SECONDS, BACKLOG_SECONDS,
)  # fmt: skip
_OF_A_STAGE = (*_OF_SCALING, CONDITION, LAST_PASS, TAKEN_UP, DELETED, DEAD_LETTERS, DECISIONS, SCALED)


def forget_scaling(namespace: str, stage: str) -> None:
    """Remove what is known of a stage's work once somebody else scales it: the last values would stay for ever."""
    for metric in _OF_SCALING:
        metric.remove_by_labels({"namespace": namespace, "stage": stage})


def forget_deletion(namespace: str, stage: str) -> None:
    """Remove when a stage was deleted, once it is gone: the next of its name was not."""
    DELETED.remove_by_labels({"namespace": namespace, "stage": stage})


def forget_stage(namespace: str, stage: str) -> None:
    """Remove every series of a stage that is gone."""
    for metric in _OF_A_STAGE:
        metric.remove_by_labels({"namespace": namespace, "stage": stage})
