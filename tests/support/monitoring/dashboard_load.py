"""A small load with everything that a dashboard shows: tasks, refusals, notifications, a cancelled task."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.monitoring.dashboard_queries import PanelQuery, queries
from tests.support.processes.prometheus import Prometheus

WINDOW_SECONDS = 20
TASKS_AT_ONCE = 5
BEAT_SECONDS = 0.8
"""A user may submit 600 tasks a minute (TASKS_PER_MINUTE), and counters must grow between two scrapes."""


@dataclass(frozen=True)
class Load:
    """A user who submits tasks, cancels one, fetches a token, and is refused once without one."""

    api_url: str
    id_token: str
    may_meet_faults: bool = False
    """Whether Momento has faults, which may meet the reads and writes of a status."""

    async def once(self) -> None:
        authorised = {"Authorization": f"Bearer {self.id_token}"}
        async with aiohttp.ClientSession() as session:
            for number in range(TASKS_AT_ONCE):
                async with session.post(
                    f"{self.api_url}/task", json={"data": f"{number}"}, headers=authorised
                ) as response:
                    assert response.status == 202, await response.text()
            await self._cancel_one(session, authorised)
            async with session.get(f"{self.api_url}/token", headers=authorised) as response:
                assert response.status == 200
            async with session.post(f"{self.api_url}/task", json={"data": "x"}) as response:
                assert response.status == 401
        await asyncio.sleep(BEAT_SECONDS)

    async def _cancel_one(self, session: aiohttp.ClientSession, authorised: dict[str, str]) -> None:
        """Cancel a task that has not started, and read its status."""
        body = {"data": "later", "delaySeconds": 2}
        async with session.post(f"{self.api_url}/task", json=body, headers=authorised) as response:
            path = response.headers["Location"]
        async with session.post(f"{self.api_url}{path}/cancel", headers=authorised) as response:
            # A user may cancel 60 tasks a minute.
            assert response.status in {202, 429} or self.may_meet_faults, await response.text()
        async with session.get(f"{self.api_url}{path}", headers=authorised) as response:
            assert response.status == 200 or self.may_meet_faults, await response.text()


@dataclass(frozen=True)
class Watched:
    """A stage and the Prometheus that scrapes it."""

    server: Prometheus
    namespace: str
    stage: str

    def empty(self, wanted: Sequence[PanelQuery]) -> list[PanelQuery]:
        """The queries without data."""
        values = {
            "namespace": self.namespace,
            "stage": self.stage,
            "__rate_interval": f"{WINDOW_SECONDS}s",
            "__rate_interval_ms": str(WINDOW_SECONDS * 1000),
            "__range": f"{WINDOW_SECONDS}s",
        }
        return [query for query in wanted if not self.server.series(query.with_values(values))]


async def load_until_every_panel_has_data(watched: Watched, path: Path, load: Load, *, seconds: float = 60.0) -> None:
    """As `load_until_all_have_data`, for a whole dashboard."""
    await load_until_all_have_data(watched, queries(path), load.once, seconds=seconds)


async def load_until_all_have_data(
    watched: Watched, wanted: Sequence[PanelQuery], load: Callable[[], Awaitable[None]], *, seconds: float
) -> None:
    """Repeat the load until every query has data; the error names queries without data."""
    ends_at = time.monotonic() + seconds
    left = list(wanted)
    while left:
        await load()
        left = await asyncio.to_thread(watched.empty, left)
        names = "\n".join(f"{query.dashboard}, {query.panel} ({query.legend}): {query.expression}" for query in left)
        assert time.monotonic() < ends_at, f"panels without data:\n{names}"
