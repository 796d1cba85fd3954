"""What fifty idle stages cost the operator."""

import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.operator_on_cluster import (
    NOTHING,
    InstalledOperator,
    installed_operator,
    stage,
    wait_provisioned,
)

pytestmark = pytest.mark.timeout(600)

STAGES = 50
SETTLE_SECONDS = 10
WINDOW_SECONDS = 45
MAX_MEGABYTES = 120
MAX_PERCENT = 3.0


@pytest.fixture(scope="module")
def operator() -> Iterator[InstalledOperator]:
    with installed_operator({"RESYNC_SECONDS": 300, "LOG_LEVEL": "INFO"}) as made:
        yield made


def test_fifty_idle_stages_cost_little(operator: InstalledOperator) -> None:
    names = [f"rest-{number:02}" for number in range(STAGES)]
    began = time.monotonic()
    operator.namespace.apply(*(stage(name) for name in names))
    wait_provisioned(operator.namespace, *names, seconds=240)
    made_seconds = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    writes = 'notification_api_operator_kubernetes_calls_total{outcome="ok",verb="P'
    cpu, written = operator.operator_metric("process_cpu_seconds_total"), operator.operator_metric(writes)
    began = time.monotonic()
    time.sleep(WINDOW_SECONDS)
    used = operator.operator_metric("process_cpu_seconds_total") - cpu
    percent = 100 * used / (time.monotonic() - began)
    megabytes = operator.operator_metric("process_resident_memory_bytes") / 1e6
    sys.stdout.write(
        f"{STAGES} stages provisioned in {made_seconds:.1f} s; idle: {megabytes:.0f} MB, {percent:.2f} % of a core\n"
    )
    assert operator.operator_metric(writes) == written
    began = time.monotonic()
    operator.namespace.kubectl("delete", "stages", "--all", seconds=240)
    sys.stdout.write(f"{STAGES} stages removed in {time.monotonic() - began:.1f} s\n")
    assert operator.account("notification-api-rest") == NOTHING
    assert megabytes < MAX_MEGABYTES
    assert percent < MAX_PERCENT
