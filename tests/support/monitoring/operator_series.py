"""The operator's series for one stage, served by a separate process: the real definitions with constant values.

Run as ``python -m tests.support.monitoring.operator_series <namespace> <stage>``: prints its host and port.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from k8s.operator import metrics
from k8s.operator.settings import SERVICE_NAME
from services.common.telemetry.metrics import BUILD
from services.common.version import VERSION
from tests.support.processes.child import python, running

BEAT_SECONDS = 0.3


@contextmanager
def operator_series(namespace: str, stage: str) -> Iterator[str]:
    """Yields host and port."""
    with running(python("tests.support.monitoring.operator_series", namespace, stage), {}) as child:
        yield child.wait_for_output(r"(127\.0\.0\.1:\d+)\n")[1]


def _serve(namespace: str, stage: str) -> None:
    where = {"namespace": namespace, "stage": stage}
    values = {
        metrics.VISIBLE: 3,
        metrics.IN_FLIGHT: 2,
        metrics.ARRIVALS: 1.5,
        metrics.TASK_SECONDS: 0.2,
        metrics.WAIT_SECONDS: 0.3,
        metrics.WAIT_OBJECTIVE: 10,
        metrics.REPLICAS_READY: 1,
        metrics.REPLICAS: 1,
        metrics.REPLICAS_DESIRED: 1,
        metrics.SCALING_BLOCKED: 0,
        metrics.LAST_RECONCILE: time.time(),
        metrics.FIRST_SEEN: time.time(),
        metrics.BACKLOG_SECONDS: 0,
        metrics.DEAD_LETTERS: 0,
    }
    for gauge, value in values.items():
        gauge.labels(**where).set(value)
    BUILD.info({"version": VERSION, "service": SERVICE_NAME, "stage": "-"})  # as its main sets it
    metrics.DECISIONS.labels(**where, reason="Steady").inc()
    metrics.OBSERVATIONS.labels("backlog", "unreadable").inc()
    server, _ = start_http_server(0, "127.0.0.1")
    sys.stdout.write(f"127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    while True:
        time.sleep(BEAT_SECONDS)
        metrics.RECONCILES.labels("make", "ok").inc()
        metrics.RECONCILE_SECONDS.labels("make").observe(0.3)
        metrics.KUBERNETES_CALLS.labels("get", "ok").inc()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
