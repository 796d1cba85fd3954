"""A clock that moves only when a test moves it."""

import asyncio


class ManualClock:
    """Replaces `time.monotonic` and `time.time` (call it) and `asyncio.sleep` (its `sleep`)."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.sleeps: list[float] = []
        """Seconds of every sleep so far."""
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self._slept = asyncio.Condition()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has moved by `seconds`."""
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        async with self._slept:
            self.sleeps.append(seconds)
            self._slept.notify_all()
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Move the clock and wake the sleepers that are due."""
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now:
                woken.set()
        self._sleepers = [(due, woken) for due, woken in self._sleepers if due > self.now]

    async def wait_for_sleep(self, number: int) -> float:
        """Wait until something sleeps for the `number`th time; return its seconds."""
        async with asyncio.timeout(10), self._slept:
            await self._slept.wait_for(lambda: len(self.sleeps) >= number)
            return self.sleeps[number - 1]
