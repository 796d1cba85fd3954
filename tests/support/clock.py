"""A clock that only moves when a test moves it."""

import asyncio


class HandClock:
    """Stands in for `time.monotonic`/`time.time` (call it) and for `asyncio.sleep` (its `sleep`)."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.pauses: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self._slept = asyncio.Condition()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved on by so much."""
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        async with self._slept:
            self.pauses.append(seconds)
            self._slept.notify_all()
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Move on, and wake whoever is due."""
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now:
                woken.set()
        self._sleepers = [(due, woken) for due, woken in self._sleepers if due > self.now]

    async def nap(self, number: int) -> float:
        """Wait until somebody has gone to sleep for the `number`th time; for how long."""
        async with asyncio.timeout(10), self._slept:
            await self._slept.wait_for(lambda: len(self.pauses) >= number)
            return self.pauses[number - 1]
