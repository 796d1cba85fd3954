"""The state of the process, and what the operations port reports of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from services.common.lifecycle import EXIT_CLEAN, EXIT_FAILED, EXIT_FORCED, Lifecycle
from services.common.web.operations import create_operations_app
from tests.support.served_app import Served, served_app


@pytest.fixture
async def lifecycle() -> Lifecycle:
    return Lifecycle()


@pytest.fixture
async def operations(lifecycle: Lifecycle) -> AsyncIterator[Served]:
    async with served_app(create_operations_app(lifecycle), lifecycle) as served:
        lifecycle._started = False
        yield served


def ready_gauge() -> float | None:
    return REGISTRY.get_sample_value("notification_api_ready")


def test_before_its_start_a_service_is_not_ready(lifecycle: Lifecycle) -> None:
    assert lifecycle.readiness_problems() == {"service": "starting"}
    assert ready_gauge() == 0


def test_a_started_service_is_ready(lifecycle: Lifecycle) -> None:
    lifecycle.mark_started()
    assert lifecycle.readiness_problems() == {}
    assert ready_gauge() == 1


def test_each_component_that_is_not_ready_says_why(lifecycle: Lifecycle) -> None:
    problems = {"keys": "no signing keys", "momento": None, "queue": "no queue"}
    for name in problems:
        lifecycle.add_check(name, lambda name=name: problems[name])  # type: ignore[misc]
    lifecycle.mark_started()
    assert lifecycle.readiness_problems() == {"keys": "no signing keys", "queue": "no queue"}
    problems.update(dict.fromkeys(problems))
    assert lifecycle.readiness_problems() == {}


def test_a_stopping_service_drains_and_is_not_ready(lifecycle: Lifecycle) -> None:
    lifecycle.mark_started()
    lifecycle.stop()
    assert lifecycle.stopping.is_set()
    assert not lifecycle.force_stop.is_set()
    assert "draining" in lifecycle.readiness_problems()["service"]
    assert lifecycle.exit_status == EXIT_CLEAN


def test_a_second_stop_forces_it(lifecycle: Lifecycle) -> None:
    lifecycle.stop()
    lifecycle.stop()
    assert lifecycle.force_stop.is_set()
    assert lifecycle.exit_status == EXIT_CLEAN


async def test_a_failed_background_task_ends_the_service_with_status_1(lifecycle: Lifecycle) -> None:
    async def fails() -> None:
        raise RuntimeError

    lifecycle.mark_started()
    lifecycle.background.spawn("worker", fails())
    async with asyncio.timeout(10):
        await lifecycle.stopping.wait()
    assert lifecycle.exit_status == EXIT_FAILED
    assert "draining" in lifecycle.readiness_problems()["service"]


def test_a_forced_drain_has_its_own_status_but_hides_no_failure(lifecycle: Lifecycle) -> None:
    lifecycle.mark_forced()
    assert lifecycle.exit_status == EXIT_FORCED
    lifecycle.fail()
    assert lifecycle.exit_status == EXIT_FAILED
    lifecycle.mark_forced()
    assert lifecycle.exit_status == EXIT_FAILED


async def test_readyz_answers_503_with_the_reasons(operations: Served, lifecycle: Lifecycle) -> None:
    lifecycle.add_check("keys", lambda: "no signing keys")
    answer = await operations.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.json == {"ready": False, "reasons": {"keys": "no signing keys", "service": "starting"}}


async def test_readyz_answers_200_when_nothing_is_missing(operations: Served, lifecycle: Lifecycle) -> None:
    lifecycle.mark_started()
    answer = await operations.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True, "reasons": {}})


async def test_livez_stays_green_whatever_readiness_says(operations: Served, lifecycle: Lifecycle) -> None:
    statuses = [(await operations.ask("GET", "/livez")).status]
    lifecycle.mark_started()
    statuses.append((await operations.ask("GET", "/livez")).status)
    lifecycle.stop()
    statuses.append((await operations.ask("GET", "/livez")).status)
    assert statuses == [200, 200, 200]


async def test_metrics_are_prefixed_and_in_the_requested_format(operations: Served, lifecycle: Lifecycle) -> None:
    lifecycle.mark_started()
    plain = await operations.ask("GET", "/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain")
    for family in (b"notification_api_ready gauge", b"notification_api_http_requests_total counter"):
        assert b"# TYPE " + family in plain.body
    open_metrics = await operations.ask("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")


async def test_metrics_bring_the_ready_gauge_up_to_date(operations: Served, lifecycle: Lifecycle) -> None:
    lifecycle.mark_started()
    assert b"notification_api_ready 1.0" in (await operations.ask("GET", "/metrics")).body
    lifecycle.stop()
    assert b"notification_api_ready 0.0" in (await operations.ask("GET", "/metrics")).body


async def test_the_operations_port_has_nothing_else(operations: Served) -> None:
    assert (await operations.ask("GET", "/token")).status == 404
    assert isinstance(operations.app, web.Application)


async def test_readyz_answers_200_with_the_warnings(operations: Served, lifecycle: Lifecycle) -> None:
    lifecycle.add_warning("receiving", lambda: "Momento refuses the API key")
    lifecycle.mark_started()
    answer = await operations.ask("GET", "/readyz")
    warnings = {"receiving": "Momento refuses the API key"}
    assert (answer.status, answer.json) == (200, {"ready": True, "reasons": {}, "warnings": warnings})
