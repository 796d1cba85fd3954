"""The operator's metrics. The series of a stage are removed with the stage."""

from prometheus_client import Counter, Gauge, Histogram

PREFIX = "notification_api_operator"
STAGE = ("namespace", "stage")

STAGES = Gauge("stages", "Stages that the operator manages.", namespace=PREFIX)
KUBERNETES_CALLS = Counter("kubernetes_calls", "Calls to the Kubernetes API.", ("verb", "outcome"), namespace=PREFIX)
RECONCILES = Counter(
    "reconciles",
    "Reconciles of stages by kind (read, provision, remove) and outcome.",
    ("kind", "outcome"),
    namespace=PREFIX,
)
RECONCILE_SECONDS = Histogram(
    "reconcile_duration_seconds",
    "Duration of a reconcile of a stage.",
    ("kind",),
    namespace=PREFIX,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
CHANGES = Counter("changes", "Writes to AWS and Momento for stages.", namespace=PREFIX)
CONDITION = Gauge("stage_condition", "1 where a condition of a stage is True.", (*STAGE, "condition"), namespace=PREFIX)
LAST_RECONCILE = Gauge(
    "last_reconcile_timestamp_seconds", "Time of the last successful reconcile of a stage.", STAGE, namespace=PREFIX
)
FIRST_SEEN = Gauge(
    "stage_first_seen_timestamp_seconds",
    "Time at which this operator process first saw a stage.",
    STAGE,
    namespace=PREFIX,
)
DELETED_AT = Gauge(
    "deletion_timestamp_seconds", "Time at which a stage that still exists was deleted.", STAGE, namespace=PREFIX
)
WATCH_LAG = Gauge(
    "watch_lag_seconds", "For how long the watch has not delivered a change that a list shows.", namespace=PREFIX
)
TIME_TO_READY = Histogram(
    "time_to_ready_seconds",
    "Time from the creation of a Stage until it is first Ready.",
    namespace=PREFIX,
    buckets=(1, 2.5, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 900),
)

OBSERVATIONS = Counter(
    "scaling_observations",
    "Reads of a stage's queue and pods by source and outcome.",
    ("source", "outcome"),
    namespace=PREFIX,
)
VISIBLE = Gauge("scaling_messages_visible", "Messages that wait in the task queue.", STAGE, namespace=PREFIX)
IN_FLIGHT = Gauge("scaling_messages_in_flight", "Messages received and not yet deleted.", STAGE, namespace=PREFIX)
ARRIVALS = Gauge(
    "scaling_arrivals_per_second", "Tasks that became available per second, as measured.", STAGE, namespace=PREFIX
)
TASK_SECONDS = Gauge("scaling_task_seconds", "Mean time in the handler, as measured.", STAGE, namespace=PREFIX)
WAIT_SECONDS = Gauge("scaling_wait_seconds", "Mean wait in the queue, as measured.", STAGE, namespace=PREFIX)
WAIT_OBJECTIVE = Gauge("scaling_wait_objective_seconds", "The wait objective of the stage.", STAGE, namespace=PREFIX)
REPLICAS_READY = Gauge("scaling_replicas_ready", "Processors that are ready.", STAGE, namespace=PREFIX)
REPLICAS = Gauge("scaling_replicas", "Processors that the Deployment asks for.", STAGE, namespace=PREFIX)
REPLICAS_DESIRED = Gauge("scaling_replicas_desired", "Processors that the policy wants.", STAGE, namespace=PREFIX)
SCALING_BLOCKED = Gauge(
    "scaling_blocked",
    "1 while scaling is blocked: values are unreadable, processors do not work, or scaling is refused.",
    STAGE,
    namespace=PREFIX,
)
POD_READY_SECONDS = Gauge(
    "scaling_pod_ready_seconds",
    "Time from the creation of a processor's pod until it is ready: mean of the last 20.",
    STAGE,
    namespace=PREFIX,
)
BACKLOG_SECONDS = Gauge(
    "backlog_seconds",
    "Time since the queue was last seen without waiting messages. No message has waited longer.",
    STAGE,
    namespace=PREFIX,
)
DEAD_LETTERS = Gauge("dead_letters", "Messages in the dead-letter queue.", STAGE, namespace=PREFIX)
DECISIONS = Counter("scaling_decisions", "Decisions by reason.", (*STAGE, "reason"), namespace=PREFIX)
SCALING_CHANGES = Counter("scaling_changes", "Changes of the replica count.", (*STAGE, "direction"), namespace=PREFIX)

_SCALING_METRICS = (
    VISIBLE, IN_FLIGHT, ARRIVALS, TASK_SECONDS, WAIT_SECONDS, WAIT_OBJECTIVE,
    REPLICAS_READY, REPLICAS, REPLICAS_DESIRED, SCALING_BLOCKED, POD_READY_SECONDS, BACKLOG_SECONDS,
)  # fmt: skip
_STAGE_METRICS = (
    *_SCALING_METRICS, CONDITION, LAST_RECONCILE, FIRST_SEEN, DELETED_AT, DEAD_LETTERS, DECISIONS, SCALING_CHANGES,
)  # fmt: skip


def remove_scaling_series(namespace: str, stage: str) -> None:
    """Remove the scaling series of a stage that the operator no longer scales. Else their last values would stay."""
    for metric in _SCALING_METRICS:
        metric.remove_by_labels({"namespace": namespace, "stage": stage})


def remove_deletion_series(namespace: str, stage: str) -> None:
    """Remove the deletion time of a stage that is gone, since a new stage of the same name was not deleted."""
    DELETED_AT.remove_by_labels({"namespace": namespace, "stage": stage})


def remove_stage_series(namespace: str, stage: str) -> None:
    """Remove every series of a stage that is gone."""
    for metric in _STAGE_METRICS:
        metric.remove_by_labels({"namespace": namespace, "stage": stage})
