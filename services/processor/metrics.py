"""What the processor measures."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from services.common.telemetry.metrics import PREFIX

# Steps of about 1.5 where tasks mostly are, and no bound at a round second: a task that takes slightly more than one
# second would be counted as one of two.
TASK_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.6, 1.1, 1.6, 2.3, 3.4, 5.2, 7.5, 11, 16, 24, 35, 65, 130, 320, 920, 3700)
# The objectives are bounds: 10 s for the wait, 30 s from accepted to notified. A backlog may last hours.
WAIT_BUCKETS = (0.025, 0.1, 0.25, 0.6, 1.1, 1.6, 2.3, 3.4, 5.2, 7.5, 10, 15, 20, 30, 60, 120, 300, 900, 3600, 14400)

RECEIVED = Counter("messages_received", "Messages received from the task queue.", namespace=PREFIX)
REDELIVERED = Counter("messages_redelivered", "Messages received that had been received before.", namespace=PREFIX)
IN_PROCESS = Gauge("tasks_in_process", "Tasks that have a slot.", namespace=PREFIX)
WAITING = Gauge(
    "tasks_waiting",
    "Messages that wait for a slot, beyond their user's share.",
    namespace=PREFIX,
)
WITHOUT_SLOT = Gauge(
    "tasks_awaiting_store",
    "Messages that have released their slot and wait for the history or the dead-letter queue.",
    namespace=PREFIX,
)
RUNNING = Gauge("tasks_running", "Tasks that have a slot, by task type.", ("type",), namespace=PREFIX)
SLOTS = Gauge(
    "slots", "Tasks that this replica can run at once, with the task types of the last minute.", namespace=PREFIX
)
PROCESSED = Counter(
    "tasks_processed", "Messages processed, by outcome and task type.", ("outcome", "type"), namespace=PREFIX
)
TASK_SECONDS = Histogram(
    "task_duration_seconds",
    "Time in the handler, by outcome and task type.",
    ("outcome", "type"),
    namespace=PREFIX,
    buckets=TASK_BUCKETS,
)
QUEUE_WAIT_SECONDS = Histogram(
    "queue_wait_seconds",
    "From the acceptance of a new task, or the end of its delay, to the start of its handler; redeliveries do not"
    " count.",
    ("type",),
    namespace=PREFIX,
    buckets=WAIT_BUCKETS,
)
END_TO_END_SECONDS = Histogram(
    "end_to_end_seconds",
    "From the acceptance of a task, or the end of its delay, to the publication of its final notification; cancelled"
    " and expired tasks do not count.",
    ("type",),
    namespace=PREFIX,
    buckets=WAIT_BUCKETS,
)
HANDLER_ERRORS = Counter(
    "handler_errors", "Failed attempts, by kind of failure and task type.", ("kind", "type"), namespace=PREFIX
)
CANCELLED = Counter(
    "tasks_cancelled",
    "Cancelled tasks, by whether the handler was running or the task was queued.",
    ("status",),
    namespace=PREFIX,
)
EXPIRED = Counter("tasks_expired", "Tasks that were not started before they expired.", namespace=PREFIX)
CANCEL_POLLS = Counter("cancel_polls", "Reads of the cancel requests, by outcome.", ("outcome",), namespace=PREFIX)
STATUS_WRITES = Counter(
    "status_writes", "Status snapshots of tasks, by outcome: ok, error, dropped.", ("outcome",), namespace=PREFIX
)
PUBLISHED = Counter("notifications_published", "Notifications published, by status.", ("status",), namespace=PREFIX)
REPUBLISHED = Counter(
    "notifications_republished",
    "Notifications published again because they were stored late; clients drop the copy.",
    namespace=PREFIX,
)
PUBLISH_REFUSED = Counter(
    "notifications_refused", "Notifications that Momento refuses to publish as they are.", namespace=PREFIX
)
PROGRESS_DROPPED = Counter(
    "progress_dropped", "Progress notifications not published, to save the topic quota.", namespace=PREFIX
)
LEASES_LOST = Counter("leases_lost", "Messages whose lease could not be extended.", namespace=PREFIX)
LEASES_EXTENDED = Counter("leases_extended", "Leases extended.", namespace=PREFIX)
REQUEUED = Counter("messages_requeued", "Messages returned to the queue, by reason.", ("reason",), namespace=PREFIX)
DEAD_LETTERED = Counter(
    "tasks_dead_lettered", "Messages sent to the dead-letter queue, by reason.", ("reason",), namespace=PREFIX
)
ISOLATED = Gauge(
    "tasks_isolated",
    "Possible poison pills: the one that runs isolated, and those that wait for it with a slot each.",
    namespace=PREFIX,
)
ISOLATIONS = Counter(
    "isolations",
    "Possible poison pills, by outcome of the delivery: ran isolated, requeued, or cleared while it waited.",
    ("outcome",),
    namespace=PREFIX,
)
HISTORY_UNAVAILABLE = Counter(
    "history_unavailable",
    "Cache calls that failed or were skipped: `write` is retried, `refused` is not; without the others a task may"
    " run more than once.",
    ("operation",),
    namespace=PREFIX,
)
DUPLICATES = Counter(
    "duplicate_deliveries", "Deliveries whose task was concluded before: only missing steps ran.", namespace=PREFIX
)
ACK_ERRORS = Counter(
    "acknowledge_errors",
    "Deletions that failed after all retries; the message will be delivered again.",
    namespace=PREFIX,
)
RECEIVING_PAUSED = Gauge(
    "receiving_paused", "1 while no tasks are received because notifications cannot be delivered.", namespace=PREFIX
)
ABANDONED = Gauge("handlers_abandoned", "Cancelled handlers that still run and cannot be stopped.", namespace=PREFIX)
LOOP_BLOCKED = Counter("event_loop_blocked", "Times that a handler blocked the event loop.", namespace=PREFIX)

# Cached, because the lookup of the labels costs each message as much as the counting.
processed = cache(PROCESSED.labels)
task_seconds = cache(TASK_SECONDS.labels)
queue_wait_seconds = cache(QUEUE_WAIT_SECONDS.labels)
end_to_end_seconds = cache(END_TO_END_SECONDS.labels)
published = cache(PUBLISHED.labels)
