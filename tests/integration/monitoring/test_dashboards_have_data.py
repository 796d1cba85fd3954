"""A real Prometheus scrapes the local stack as it would scrape pods; every panel of every dashboard has data."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from k8s.dashboards.render import NO_DATA, Source, render
from local.demo.sign_up import application, signed_in_user
from tests.support.monitoring.dashboard_load import Load, Watched, load_until_every_panel_has_data
from tests.support.monitoring.dashboard_queries import DASHBOARDS, PanelQuery, variables
from tests.support.monitoring.watched_stack import MAY_NOT_BE_INACTIVE, NAMESPACE, RULES, STAGE, watched
from tests.support.processes.local_stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.prometheus,
    pytest.mark.slow,
]  # the first test also starts the stack


@pytest.fixture(scope="module")
def stage(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    for name in ("token", "ingest", "processor"):
        local_stack.restart(name)  # failures of other tests must not raise alerts here
    with watched(local_stack, tmp_path_factory.mktemp("prometheus")) as stage:
        yield stage


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
async def test_every_panel_has_data_after_a_small_load(local_stack: LocalStack, stage: Watched, path: Path) -> None:
    async with application(local_stack.page_url) as app:
        user = await signed_in_user(app)
        load = Load(user.config.api_url, user.id_token)
        await load_until_every_panel_has_data(stage, path, load)
        await wait_until_every_panel_is_drawn(stage, path, load)


async def wait_until_every_panel_is_drawn(stage: Watched, path: Path, load: Load, seconds: float = 60.0) -> None:
    """Continue the load: the panel covers one minute, which on a busy machine may contain too few scrapes."""
    dashboard = json.loads(await asyncio.to_thread(path.read_text))
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]
    ends_at = time.monotonic() + seconds
    empty = titles
    while empty and time.monotonic() < ends_at:
        await load.once()
        figure = await asyncio.to_thread(render, dashboard, Source(stage.server.url, NAMESPACE, STAGE, 60))
        assert [axes.get_title(loc="left") for axes in figure.axes] == titles
        empty = [axes.get_title(loc="left") for axes in figure.axes if not shows_data(axes)]
    assert empty == []


def shows_data(axes: Axes) -> bool:
    """Whether there is a line with points, a heat map, a table or a number."""
    lines = [line for line in axes.lines if len(line.get_xdata())]  # type: ignore[arg-type]
    numbers = [text for text in axes.texts if text.get_text() != NO_DATA]
    return bool(lines or axes.collections or axes.tables or numbers) and len(numbers) == len(axes.texts)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
async def test_the_variables_offer_the_stage_only(stage: Watched, path: Path) -> None:
    chosen = {"namespace": NAMESPACE, "stage": STAGE}
    assert variables(path).keys() == chosen.keys()
    for name, query in variables(path).items():
        offered = await asyncio.to_thread(stage.server.label_values, query.with_values(chosen), name)
        assert offered == [chosen[name]]


async def test_a_panel_without_data_is_found(stage: Watched) -> None:
    silent = PanelQuery("stage", "Silent", "", 'notification_api_nothing{namespace="$namespace",stage="$stage"}')
    not_a_number = PanelQuery("stage", "Divided", "", "0 * vector(1) / 0")
    assert stage.empty([silent, not_a_number]) == [silent, not_a_number]


async def test_all_rules_are_evaluated_and_none_is_active_for_a_healthy_stage(stage: Watched) -> None:
    assert await asyncio.to_thread(stage.server.unhealthy_targets) == {}
    rules = await asyncio.to_thread(stage.server.rules)
    assert len(rules) > len(RULES)
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}
    # An alert about missing pods is pending until the first scrapes.
    await wait_until(lambda: asyncio.to_thread(has_no_active_alert, stage), timeout_seconds=60)


def has_no_active_alert(stage: Watched) -> bool:
    active = {rule["name"] for rule in stage.server.rules() if rule.get("state", "inactive") != "inactive"}
    return active <= MAY_NOT_BE_INACTIVE
