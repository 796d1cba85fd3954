"""A real Prometheus scrapes the local stack as it would scrape pods; no panel of any dashboard stays empty."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s.dashboards.picture import Source, picture
from local.demo.api import api
from local.demo.run import new_user
from tests.support.dashboard_load import Load, Watched, until_every_panel_has_data
from tests.support.dashboard_queries import DASHBOARDS, ROOT, PanelQuery
from tests.support.local_stack import LocalStack
from tests.support.operator_series import operator_series
from tests.support.prometheus_server import Prometheus, Target, needs_prometheus, prometheus

pytestmark = [pytest.mark.timeout(180), needs_prometheus]  # the first test also starts the stack

NAMESPACE, STAGE = "laptop", "local"
RULES = sorted((ROOT / "charts/notification-api/rules").glob("*.yaml"))


@pytest.fixture(scope="module")
def server(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    ops = {name: local_stack.environment(name)["OPS_PORT"] for name in ("token", "ingest", "processor")}
    with operator_series(NAMESPACE, STAGE) as operator:
        targets = [Target(operator, {"service": "operator"})] + [
            Target(f"127.0.0.1:{port}", {"namespace": NAMESPACE, "stage": STAGE, "service": name, "pod": f"{name}-0"})
            for name, port in ops.items()
        ]
        with prometheus(tmp_path_factory.mktemp("prometheus"), targets, RULES) as server:
            yield server


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
async def test_no_panel_is_empty_after_a_small_load(local_stack: LocalStack, server: Prometheus, path: Path) -> None:
    async with api(local_stack.page_url) as calls:
        config = await calls.config()
        load = Load(config.task_url, config.token_url, await new_user(calls, config))
        await until_every_panel_has_data(Watched(server, NAMESPACE, STAGE), path, load)
        await every_panel_is_drawn(server, path, load)


async def every_panel_is_drawn(server: Prometheus, path: Path, load: Load, seconds: float = 60.0) -> None:
    """Go on with the load: the picture looks at one minute, which on a busy machine may hold too few scrapes."""
    board = json.loads(await asyncio.to_thread(path.read_text))
    ends_at = time.monotonic() + seconds
    drawn = "no data"
    while "no data" in drawn and time.monotonic() < ends_at:
        await load.once()
        drawn = await asyncio.to_thread(picture, board, Source(server.url, NAMESPACE, STAGE, 60))
    assert drawn.count("</g>") == sum(panel["type"] != "row" for panel in board["panels"])
    assert "no data" not in drawn


async def test_a_panel_without_data_is_found(local_stack: LocalStack, server: Prometheus) -> None:
    silent = PanelQuery("stage", "Silent", "", 'notification_api_nothing{namespace="$namespace",stage="$stage"}')
    not_a_number = PanelQuery("stage", "Divided", "", "0 * vector(1) / 0")
    assert Watched(server, NAMESPACE, STAGE).empty([silent, not_a_number]) == [silent, not_a_number]


async def test_the_rules_are_evaluated_and_none_fails_or_fires_on_a_healthy_stage(server: Prometheus) -> None:
    assert await asyncio.to_thread(server.unhealthy_targets) == {}
    rules = await asyncio.to_thread(server.rules)
    assert len(rules) > len(RULES)
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []
