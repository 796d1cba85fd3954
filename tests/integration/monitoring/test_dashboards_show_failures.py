"""Panels that show zero without failures do show failures; with a wrong metric name they would always show zero."""

from collections.abc import Iterator

import pytest

from local.demo.sign_up import application, signed_in_user
from tests.support.monitoring.dashboard_load import Load, Watched, load_until_all_have_data
from tests.support.monitoring.dashboard_queries import DASHBOARDS, queries
from tests.support.monitoring.failing_load import HANDLER, FailingLoad
from tests.support.monitoring.watched_stack import watched
from tests.support.processes.local_stack import LocalStack

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.prometheus,
    pytest.mark.slow,
]  # the first test also starts the stack

NEVER_HERE = {
    ("SQS errors", "{{operation}}"),
    ("SQS errors", "{{namespace}}/{{stage}}"),
    ("Refused", "task: {{reason}}"),
}
"""Panels and legends of failures that the local stack cannot cause. Only their labels are checked."""


@pytest.fixture(scope="module")
def failing_load(local_stack: LocalStack) -> Iterator[FailingLoad]:
    with local_stack.restarted("processor", HANDLER):
        failing_load = FailingLoad(local_stack)
        yield failing_load
        failing_load.end()
    local_stack.restart("token")  # its failures must not count in other tests


@pytest.fixture(scope="module")
def stage(
    local_stack: LocalStack, failing_load: FailingLoad, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    with watched(local_stack, tmp_path_factory.mktemp("prometheus")) as stage:
        yield stage


async def test_every_panel_of_failures_shows_them(
    local_stack: LocalStack, stage: Watched, failing_load: FailingLoad
) -> None:
    wanted = [
        query.without_fallback
        for path in DASHBOARDS
        for query in queries(path)
        if query.has_fallback and (query.panel, query.legend) not in NEVER_HERE
    ]
    assert len(wanted) > 10
    async with application(local_stack.page_url) as app:
        user = await signed_in_user(app)
        ordinary = Load(user.config.api_url, user.id_token, may_meet_faults=True)

    async def load() -> None:
        await ordinary.once()
        await failing_load.once()

    await load_until_all_have_data(stage, wanted, load, seconds=90)
