"""Metrics of every service. Names start with ``notification_api_``, units are base units, labels are bounded."""

from prometheus_client import Counter, Gauge, Histogram, Info

PREFIX = "notification_api"

# From a cached response (1 ms) to the request time limit; the objective for POST and GET is 100 ms.
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)

BUILD = Info("build", "Version, service and stage of the process.", namespace=PREFIX)
REQUESTS = Counter("http_requests", "Responses sent.", ("method", "route", "status"), namespace=PREFIX)
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to respond to a request.",
    ("method", "route"),
    namespace=PREFIX,
    buckets=REQUEST_BUCKETS,
)
CONNECTIONS_CLOSED = Counter(
    "http_connections_closed",
    "Connections that the service closed without a response, by reason.",
    ("reason",),
    namespace=PREFIX,
)
MEMORY_REFUSED = Counter(
    "memory_refused",
    "Requests refused (503) because a memory budget was used up, by budget.",
    ("budget",),
    namespace=PREFIX,
)
REFUSED_TOKENS = Counter("id_tokens_refused", "Id tokens refused, by reason.", ("reason",), namespace=PREFIX)
READY = Gauge("ready", "1 while the service is ready.", namespace=PREFIX)
MOMENTO_CALLS = Counter(
    "momento_calls", "Calls to Momento; each attempt counts.", ("operation", "outcome"), namespace=PREFIX
)
MOMENTO_CALL_SECONDS = Histogram(
    "momento_call_duration_seconds",
    "Time of a call to Momento, per attempt.",
    ("operation",),
    namespace=PREFIX,
    buckets=REQUEST_BUCKETS,
)
MOMENTO_CLIENT_SWAPS = Counter("momento_client_swaps", "Changes to a new API key.", namespace=PREFIX)
PARAMETER_READS = Counter(
    "parameter_reads",
    "Reads of the SSM parameter with the Momento API key; unusable: the value is not a valid key.",
    ("outcome",),
    namespace=PREFIX,
)
SQS_CALLS = Counter(
    "sqs_calls",
    "Calls to SQS; refused: SQS does not accept the content or size of a message.",
    ("operation", "outcome"),
    namespace=PREFIX,
)
BACKGROUND_FAILURES = Counter(
    "background_failures",
    "Background tasks that ended unexpectedly and stopped the service.",
    ("task",),
    namespace=PREFIX,
)
LOG_LINES_DROPPED = Counter(
    "log_lines_dropped", "Log lines dropped because standard output was blocked.", namespace=PREFIX
)
