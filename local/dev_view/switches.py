"""Faults of the emulators that can be switched on and off."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from local.aws.sqs_delay import SQS_DELAY_PATH
from local.dev_view.calls import call
from local.dev_view.momento import MomentoAdmin

SLOW_SECONDS = 3
"""Longer than the services wait for most calls."""
_SLOW_FAULT: Mapping[str, Any] = {"method": "*", "delayMs": SLOW_SECONDS * 1000, "message": "switched on at /dev"}
"""The message is never sent, since the call does not fail. It distinguishes this fault from those of others."""


class SqsDelaySwitch:
    """The delay of each call of the emulated SQS (local/aws/sqs_delay.py)."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        self._session = session
        self._url = url + SQS_DELAY_PATH
        self._headers = {"Authorization": f"Bearer {secret}"}

    async def is_on(self) -> bool:
        return bool((await self._call("GET"))["seconds"])

    async def turn(self, *, on: bool) -> None:
        await self._call("PUT", seconds=str(SLOW_SECONDS if on else 0))

    async def _call(self, method: str, **query: str) -> Any:
        return await call(self._session, "The emulated AWS", method, self._url, params=query, headers=self._headers)


@dataclass(frozen=True, slots=True)
class Switch:
    """A fault, and whether it is on."""

    name: str
    effect: str
    is_on: bool


class Switches:
    """All switches. The methods raise `UnavailableError` when an emulator does not answer."""

    def __init__(self, momento: MomentoAdmin, sqs: SqsDelaySwitch) -> None:
        self._momento = momento
        self._sqs = sqs
        self._turns: Mapping[str, Callable[[bool], Awaitable[None]]] = {
            "momento-down": lambda on: momento.change(down=on),
            "momento-slow": self._turn_momento_slow,
            "momento-key-refused": lambda on: momento.change(keysRefused=on),
            "sqs-slow": lambda on: sqs.turn(on=on),
        }

    @property
    def names(self) -> Collection[str]:
        return self._turns.keys()

    async def read(self) -> list[Switch]:
        """Return the current state."""
        momento = await self._momento.settings()
        slow = f"takes {SLOW_SECONDS} s longer"
        return [
            Switch("momento-down", "Momento is down: every call fails, and streams break.", momento["down"]),
            Switch("momento-slow", f"Momento is slow: every call {slow}.", any(map(_is_slow, momento["faults"]))),
            Switch("momento-key-refused", "Momento refuses the API key of the services.", momento["keysRefused"]),
            Switch("sqs-slow", f"SQS is slow: every call {slow}.", await self._sqs.is_on()),
        ]

    async def turn(self, name: str, *, on: bool) -> None:
        """Change the switch of this name, one of `names`."""
        await self._turns[name](on)

    async def reset(self) -> None:
        """Switch all off, and remove the faults that others have injected into the Momento emulator."""
        await self._momento.change(down=False, keysRefused=False, faults=[])
        await self._sqs.turn(on=False)

    async def _turn_momento_slow(self, on: bool) -> None:  # noqa: FBT001 -- all entries of `_turns` are called alike
        others = [fault for fault in (await self._momento.settings())["faults"] if not _is_slow(fault)]
        await self._momento.change(faults=[*others, *([_SLOW_FAULT] if on else [])])


def _is_slow(fault: Mapping[str, Any]) -> bool:
    return bool(fault["message"] == _SLOW_FAULT["message"])
