"""Metrics of the token service."""

from prometheus_client import Counter, Gauge

from services.common.telemetry.metrics import PREFIX

VENDED = Counter("tokens_vended", "Disposable tokens vended by Momento.", namespace=PREFIX)
CACHED = Counter(
    "tokens_cached",
    "Tokens returned from a cache, by cache (memory of the replica, or shared).",
    ("where",),
    namespace=PREFIX,
)
REFUSED = Counter("tokens_refused", "Requests for a token that were refused, by reason.", ("reason",), namespace=PREFIX)
WAITING = Gauge("vending_queue_length", "Users that wait for a token in a request.", namespace=PREFIX)
SHARED_UNAVAILABLE = Counter(
    "shared_tokens_unavailable",
    "Failures to read or write the tokens that replicas share.",
    ("operation",),
    namespace=PREFIX,
)
HISTORY_REFUSED = Counter(
    "history_reads_refused",
    "Reads of the history that were refused; user: one user read too often, replica: all users together did.",
    ("reason",),
    namespace=PREFIX,
)
HISTORY_OPERATIONS = Counter(
    "history_read_operations",
    "Cache operations used by reading histories, estimated from their size.",
    namespace=PREFIX,
)
STATUS_READS = Counter(
    "status_reads",
    "Reads of a task's status or result, by the status, or by why there is none. "
    "unknown: the user has no such task; rate_limited: one user reads too often; busy: all users together do; "
    "unavailable: Momento is.",
    ("outcome",),
    namespace=PREFIX,
)
CANCEL_REQUESTS = Counter(
    "cancel_requests",
    "Requests to cancel a task. final: it had ended; user_full, stage_full: too many are outstanding; "
    "accepted: stored; the others: as for status reads.",
    ("outcome",),
    namespace=PREFIX,
)
