"""What the ingest service measures besides requests."""

from prometheus_client import Counter

from services.common.telemetry.metrics import PREFIX

ACCEPTED = Counter("tasks_accepted", "Tasks that SQS has acknowledged.", namespace=PREFIX)
REFUSED = Counter(
    "tasks_refused",
    "Tasks that were not accepted, by reason: rate, too_large, key_reused, queue, timeout.",
    ("reason",),
    namespace=PREFIX,
)
