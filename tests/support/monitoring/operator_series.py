"""The operator's series for one stage, served by a separate process: the real definitions with constant values.

Run as ``python -m tests.support.monitoring.operator_series <namespace> <stage>``: prints its port, ends with its input.
"""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from k8s.operator import metrics
from k8s.operator.settings import SERVICE_NAME
from local.plan import ROOT
from services.common.telemetry.metrics import BUILD
from services.common.version import VERSION

BEAT_SECONDS = 0.3


@contextmanager
def operator_series(namespace: str, stage: str) -> Iterator[str]:
    """Yields host and port."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.monitoring.operator_series", namespace, stage],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


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
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], BEAT_SECONDS)[0]:
        metrics.RECONCILES.labels("make", "ok").inc()
        metrics.RECONCILE_SECONDS.labels("make").observe(0.3)
        metrics.KUBERNETES_CALLS.labels("get", "ok").inc()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
