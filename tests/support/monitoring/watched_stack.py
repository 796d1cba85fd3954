"""The local stack, scraped by a real Prometheus like pods, with the series of an operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.monitoring.dashboard_load import Watched
from tests.support.monitoring.dashboard_queries import ROOT
from tests.support.monitoring.operator_series import operator_series
from tests.support.processes.local_stack import LocalStack
from tests.support.processes.prometheus import Target, prometheus
from tests.support.waiting import wait_until_sync

NAMESPACE, STAGE = "laptop", "local"
SCRAPED_SECONDS = 30.0
RULES = sorted(ROOT.glob("charts/*/rules/*.yaml"))
MAY_NOT_BE_INACTIVE = {"NotificationApiTaskSubmissionSlow", "NotificationApiEventLoopBlocked"}
"""Alerts that may be active on a slow test machine."""


@contextmanager
def watched(stack: LocalStack, folder: Path) -> Iterator[Watched]:
    """Yields the stage and its Prometheus, with the rules of both charts, once it has scraped all targets."""
    ops = {name: stack.environment(name)["OPS_PORT"] for name in ("token", "ingest", "processor")}
    with operator_series(NAMESPACE, STAGE) as operator:
        targets = [Target(operator, {"service": "operator", "namespace": "notification-operator"})] + [
            Target(f"127.0.0.1:{port}", {"namespace": NAMESPACE, "stage": STAGE, "service": name, "pod": f"{name}-0"})
            for name, port in ops.items()
        ]
        with prometheus(folder, targets, RULES) as server:
            scraped = "up == 1"
            wait_until_sync(
                lambda: len(server.series(scraped)) == len(targets),
                "all targets are scraped",
                timeout_seconds=SCRAPED_SECONDS,
            )
            yield Watched(server, NAMESPACE, STAGE)
