"""A send function for `Batcher` whose calls the test answers."""

import asyncio
from collections.abc import Sequence

Outcomes = Sequence[Exception | None]


class BatchSender:
    """Records each call; a call stays open until the test answers it, or is answered at once while `open` is off."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.held = True
        self._answers: list[asyncio.Future[Outcomes]] = []
        self._called = asyncio.Condition()

    async def __call__(self, values: Sequence[str]) -> Outcomes:
        answer: asyncio.Future[Outcomes] = asyncio.get_running_loop().create_future()
        self.calls.append(list(values))
        self._answers.append(answer)
        async with self._called:
            self._called.notify_all()
        if not self.held:
            answer.set_result([None] * len(values))
        return await answer

    async def called(self, number: int) -> list[str]:
        """Wait for the `number`th call (from 1), and return its values."""
        async with asyncio.timeout(10), self._called:
            await self._called.wait_for(lambda: len(self.calls) >= number)
            return self.calls[number - 1]

    def answer(self, number: int, outcomes: Outcomes | None = None) -> None:
        """Answer the `number`th call, by default with success."""
        self._answers[number - 1].set_result([None] * len(self.calls[number - 1]) if outcomes is None else outcomes)

    def fail(self, number: int, error: Exception) -> None:
        """Make the `number`th call raise."""
        self._answers[number - 1].set_exception(error)
