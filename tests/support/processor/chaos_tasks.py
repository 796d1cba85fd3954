"""The tasks of the chaos test: what is submitted, which are cancelled, and with which status each may end."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

FINISHED = frozenset({"finished"})
RETRIED = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of task: the fields of its request, and how it may end."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    ends: frozenset[str] = FINISHED
    is_cancelled: bool = False


PLAIN = Kind(name="plain")
LONG = Kind(name="long", fields={"type": "long"}, ends=FINISHED | {"cancelled"}, is_cancelled=True)
RACING = Kind(name="racing", ends=FINISHED | {"cancelled"}, is_cancelled=True)
"""Cancelled as it finishes."""
DELAYED = Kind(name="delayed", fields={"delaySeconds": 2})
EXPIRING = Kind(name="expiring", fields={"type": "quick", "ttlSeconds": 1}, ends=FINISHED | {"expired"})
KINDS = (LONG, RACING, DELAYED, EXPIRING)
EVERY = 20
"""One of so many tasks is of each kind; all others are plain."""


def kind_of(number: int) -> Kind:
    """Return the kind of the task with this number; those with an Idempotency-Key, every fifth, are plain."""
    index, is_first = divmod(number % EVERY - 1, 5)
    return KINDS[index] if is_first == 0 and number % EVERY else PLAIN


@dataclass
class Cancels:
    """Cancel requests, and how they were answered."""

    url: str
    answers: Counter[int] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    """Tasks whose request was answered 202."""
    too_late: set[str] = field(default_factory=set)
    """Tasks whose request was answered 409."""

    async def cancel(self, session: aiohttp.ClientSession, headers: Mapping[str, str], task_id: str) -> None:
        """Request it until it is answered 202 or 409."""
        while True:
            async with session.post(f"{self.url}/task/{task_id}/cancel", headers=headers) as answer:
                self.answers[answer.status] += 1
                if answer.status in {202, 409}:
                    (self.accepted if answer.status == 202 else self.too_late).add(task_id)
                    return
                assert answer.status in RETRIED, await answer.text()
                await asyncio.sleep(0.1)


async def statuses_of(url: str, headers: Mapping[str, str], task_ids: set[str]) -> dict[str, str]:
    """Read the status of each of a user's tasks."""
    found: dict[str, str] = {}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        for task_id in task_ids:
            while task_id not in found:
                async with session.get(f"/task/{task_id}") as answer:
                    if answer.status in RETRIED:
                        await asyncio.sleep(0.1)
                        continue
                    assert answer.status == 200, await answer.text()
                    found[task_id] = (await answer.json())["status"]
    return found
