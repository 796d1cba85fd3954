"""Metrics of the ingest service."""

from prometheus_client import Counter

from services.common.telemetry.metrics import PREFIX

ACCEPTED = Counter("tasks_accepted", "Tasks that SQS has acknowledged.", namespace=PREFIX)
REFUSED = Counter(
    "tasks_refused",
    "Tasks that were refused, by reason: rate, too_large, key_reused, queue, timeout.",
    ("reason",),
    namespace=PREFIX,
)
