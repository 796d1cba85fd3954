"""Whatever is cut, and whenever: nothing is lost, nothing is repeated."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from notification_api.client import Notification, NotificationApi
from notification_api.client.retry import Backoff
from notification_api.client.subscription import catch_up, decisions
from tests.support.client.fake_api import FakeApi, problem
from tests.support.waiting import wait_until

TASKS = 60
ACTIONS = 25


class Chaos:
    """Breaks something different each time."""

    def __init__(self, stage: FakeApi, dice: random.Random) -> None:
        self._stage = stage
        self._dice = dice

    async def once(self) -> None:
        emulator = self._stage.emulator
        actions = (
            emulator.abort_streams,
            emulator.end_streams,
            lambda: emulator.change(down=True),
            lambda: emulator.change(down=False),
            lambda: emulator.change(faults=[{"method": "Subscribe", "status": "PERMISSION_DENIED", "calls": 2}]),
            lambda: emulator.change(faults=[{"method": "Subscribe", "delayMs": 300, "calls": 3}]),
            lambda: emulator.change(historyMessages=self._dice.choice([1, 3, 64])),
            lambda: self._stage.replies["/token"].append(problem(503, **{"Retry-After": "0"})),
            lambda: self._stage.replies["/notifications"].extend([problem(503), None]),
        )
        await asyncio.to_thread(self._dice.choice(actions))

    async def end(self) -> None:
        await asyncio.to_thread(lambda: self._stage.emulator.change(down=False, faults=[], historyMessages=64))


async def notify(stage: FakeApi, task_ids: list[str], dice: random.Random) -> None:
    for task_id in task_ids:
        await asyncio.sleep(dice.uniform(0, 0.15))
        await stage.notify(task_id, may_fail=True)


async def break_things(stage: FakeApi, dice: random.Random) -> None:
    chaos = Chaos(stage, dice)
    for _ in range(ACTIONS):
        await asyncio.sleep(dice.uniform(0, 0.4))
        await chaos.once()
    await chaos.end()


async def count(notifications: AsyncIterator[Notification], received: Counter[str]) -> None:
    async for notification in notifications:
        received[str(notification.task_id)] += 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((decisions, "LOST"), (decisions, "REFUSED"), (catch_up, "BACKOFF")):
        monkeypatch.setattr(module, name, Backoff(0.1, 0.5))
    monkeypatch.setattr(catch_up, "RECHECK_SECONDS", (0.5, 1.0))


@pytest.mark.timeout(120)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_every_notification_arrives_once(stage: FakeApi, seed: int, impatient: None) -> None:
    stage.token_seconds = 6  # and is renewed meanwhile
    dice = random.Random(seed)
    sent = [f"t{number}" for number in range(TASKS)]
    received: Counter[str] = Counter()
    async with NotificationApi(stage.url, token="id-1") as api:
        counting = asyncio.create_task(count(api.notifications(), received))
        await asyncio.gather(notify(stage, sent, dice), break_things(stage, dice))
        await wait_until(lambda: len(received) == TASKS, timeout_seconds=30)
        await asyncio.sleep(1.5)  # time for repetitions
    await counting
    assert received == Counter(sent)
