"""What the token service measures besides requests."""

from prometheus_client import Counter, Gauge

from services.common.telemetry.metrics import PREFIX

VENDED = Counter("tokens_vended", "Disposable tokens vended by Momento.", namespace=PREFIX)
CACHED = Counter("tokens_cached", "Tokens answered without vending, by where they were.", ("where",), namespace=PREFIX)
REFUSED = Counter("tokens_refused", "Requests for a token that got none, by reason.", ("reason",), namespace=PREFIX)
WAITING = Gauge("vending_queue_length", "Users in line for a token.", namespace=PREFIX)
SHARED_UNAVAILABLE = Counter(
    "shared_tokens_unavailable",
    "Times that the tokens of other replicas could not be used.",
    ("operation",),
    namespace=PREFIX,
)
HISTORY_REFUSED = Counter(
    "history_reads_refused",
    "Requests for the history that got none; user: one user asked too often, replica: all users together did.",
    ("reason",),
    namespace=PREFIX,
)
HISTORY_OPERATIONS = Counter(
    "history_read_operations",
    "Cache operations that reading histories used, estimated from their size.",
    namespace=PREFIX,
)
