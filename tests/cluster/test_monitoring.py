"""A real Prometheus scrapes the pods as the PodMonitor says, with the rendered rules; no panel is empty."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with kopf, without stubs

from tests.support.cluster.pod_monitor import api_proxy, targets_of
from tests.support.cluster.stages import InstalledStages, stage_values
from tests.support.cluster.user import application_of, new_user
from tests.support.helm_charts import MONITORING_APIS, Object, of_kind, render
from tests.support.monitoring.dashboard_load import Load, Watched, load_until_every_panel_has_data
from tests.support.monitoring.dashboard_queries import DASHBOARDS
from tests.support.monitoring.operator_series import operator_series
from tests.support.monitoring.watched_stack import MAY_NOT_BE_INACTIVE
from tests.support.processes.prometheus import Prometheus, Target, prometheus

pytestmark = [pytest.mark.timeout(300), pytest.mark.prometheus]  # the first test may also install the stages

RELEASE = STAGE = "one"
OF_THE_DEMONSTRATION = {"NotificationApiDeadLettersArriving"}
"""One of its tasks fails on purpose, if another test has run it on this stage before."""


@pytest.fixture(scope="module")
def rendered(stages: InstalledStages) -> list[Object]:
    """The release as installed, rendered with monitoring objects, whose kinds the cluster need not have."""
    values = stage_values(stages.values[STAGE])
    return render(values, release=RELEASE, namespace=stages.namespace.name, apis=MONITORING_APIS)


@pytest.fixture(scope="module")
def server(
    stages: InstalledStages, rendered: list[Object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    (monitor,) = of_kind(rendered, "PodMonitor")
    # The operator is not part of the stage: its series come from its own definitions.
    with api_proxy() as proxy, operator_series(stages.namespace.name, STAGE) as operator:
        targets = targets_of(monitor, stages.namespace, proxy)
        assert {target.labels["service"] for target in targets} == {"token", "ingest", "processor"}
        targets.append(Target(operator, {"service": "operator"}))
        with prometheus(folder, targets, _rule_files(rendered, folder)) as server:
            yield server


def _rule_files(rendered: list[Object], folder: Path) -> list[Path]:
    files = []
    for each in of_kind(rendered, "PrometheusRule"):
        file = folder / f"{each['metadata']['name']}.yaml"
        file.write_text(yaml.safe_dump(each["spec"]))
        files.append(file)
    return files


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
async def test_no_panel_is_empty_after_a_small_load(stages: InstalledStages, server: Prometheus, path: Path) -> None:
    async with application_of(stages) as app:
        user = await new_user(app, await app.config())
    load = Load(user.config.api_url, user.id_token)
    await load_until_every_panel_has_data(Watched(server, stages.namespace.name, STAGE), path, load, seconds=120)


async def test_every_pod_answers_and_no_rule_fails_or_is_about_to_fire(server: Prometheus) -> None:
    assert await asyncio.to_thread(server.unhealthy_targets) == {}
    rules = await asyncio.to_thread(server.rules)
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}
    active = {rule["name"] for rule in rules if rule.get("state", "inactive") != "inactive"}
    assert active - MAY_NOT_BE_INACTIVE - OF_THE_DEMONSTRATION == set()
