"""A delayed task counts as accepted at once, and as available when its delay has passed."""

import asyncio
from unittest.mock import patch

from prometheus_client import REGISTRY

from services.ingest.metrics import AcceptedTasks
from tests.support.virtual_time import run_in_virtual_time


def counters() -> tuple[float, float]:
    accepted, available = (
        REGISTRY.get_sample_value(f"notification_api_tasks_{name}_total") or 0.0 for name in ("accepted", "available")
    )
    return accepted, available


def test_a_delayed_task_becomes_available_after_its_delay() -> None:
    async def accept() -> list[tuple[float, float]]:
        base = counters()
        tasks, seen = AcceptedTasks(), []
        for delay_seconds in (0, 60, 60, 900):
            tasks.count(delay_seconds)
        for wait_seconds in (0, 59, 3, 837, 3):
            await asyncio.sleep(wait_seconds)
            seen.append(counters())
        return [(accepted - base[0], available - base[1]) for accepted, available in seen]

    assert run_in_virtual_time(accept()) == [(4, 1), (4, 1), (4, 3), (4, 3), (4, 4)]


def test_there_is_one_timer_for_all_tasks_of_a_second() -> None:
    async def accept() -> int:
        tasks, loop = AcceptedTasks(), asyncio.get_running_loop()
        with patch.object(loop, "call_at", wraps=loop.call_at) as call_at:
            for _ in range(1_000):
                tasks.count(900)
        return call_at.call_count

    assert run_in_virtual_time(accept()) == 1
