"""What every service measures. Names start with ``notification_api_``, units are base units, labels are bounded."""

from prometheus_client import Counter, Gauge, Histogram, Info

PREFIX = "notification_api"

# From a cached answer (1 ms) to the request time limit; the objective for POST and GET is 100 ms.
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)

BUILD = Info("build", "What runs: version, service and stage.", namespace=PREFIX)
REQUESTS = Counter("http_requests", "Requests answered.", ("method", "route", "status"), namespace=PREFIX)
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request.",
    ("method", "route"),
    namespace=PREFIX,
    buckets=REQUEST_BUCKETS,
)
CONNECTIONS_CLOSED = Counter(
    "http_connections_closed",
    "Connections closed by us without an answer, by reason.",
    ("reason",),
    namespace=PREFIX,
)
MEMORY_REFUSED = Counter(
    "memory_refused",
    "Requests refused (503) because as much memory was in use as may be, by budget.",
    ("budget",),
    namespace=PREFIX,
)
REFUSED_TOKENS = Counter("id_tokens_refused", "Id tokens refused, by reason.", ("reason",), namespace=PREFIX)
READY = Gauge("ready", "1 while the service is ready for work.", namespace=PREFIX)
MOMENTO_CALLS = Counter(
    "momento_calls", "Calls to Momento, each attempt by itself.", ("operation", "outcome"), namespace=PREFIX
)
MOMENTO_CALL_SECONDS = Histogram(
    "momento_call_duration_seconds",
    "Time of a call to Momento, each attempt by itself.",
    ("operation",),
    namespace=PREFIX,
    buckets=REQUEST_BUCKETS,
)
MOMENTO_CLIENT_SWAPS = Counter("momento_client_swaps", "Times that a new API key was taken into use.", namespace=PREFIX)
PARAMETER_READS = Counter(
    "parameter_reads",
    "Readings of the Momento API key's parameter; unusable: SSM answered a value that can be no key.",
    ("outcome",),
    namespace=PREFIX,
)
SQS_CALLS = Counter(
    "sqs_calls",
    "Calls to SQS; refused: SQS does not take what a message of the call contains, or its size.",
    ("operation", "outcome"),
    namespace=PREFIX,
)
BACKGROUND_FAILURES = Counter(
    "background_failures", "Background tasks that ended and stopped the service.", ("task",), namespace=PREFIX
)
LOG_LINES_DROPPED = Counter(
    "log_lines_dropped", "Log lines that were dropped because standard output did not take them.", namespace=PREFIX
)
