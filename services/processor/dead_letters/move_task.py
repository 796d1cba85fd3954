"""StartMessageMoveTask: SQS moves a whole dead-letter queue by itself, where the server has it."""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from services.common.errors import PermanentError, Transient
from services.processor.dead_letters.inventory import Inventory
from services.processor.dead_letters.reader import UNSTATED, ended

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

LOOK_SECONDS = 2.0
MOST_PER_SECOND = 500
"""What SQS takes for MaxNumberOfMessagesPerSecond."""
CALL_SECONDS = 10.0


class NoMoveTask(PermanentError):
    """The server cannot do it for this queue, or we may not ask it to; the message says which."""


class MoveTaskFailed(Transient):
    """The move began and did not end well; what is left stays on the dead-letter queue."""


def reason_to_copy(inventory: Inventory, counted: int) -> str | None:
    """Return why SQS must not move the queue by itself; None if it may.

    SQS moves every message as a new one with the attributes that it has. An unstated one has no attribute that makes
    the processor read the history, so a finished task would run again; and each duplicate would be moved.

    :param counted: how many messages SQS counted before the reading, those in flight included.
    """
    if inventory.cut_short or inventory.is_partial or len(inventory.entries) < counted:
        return "not all messages could be read"
    if any(letter.reason == UNSTATED for letter in inventory.letters):
        return "there are messages without a reason"
    return "there are duplicates" if inventory.duplicates() else None


class MoveTask:
    """Moves everything from one queue to another."""

    def __init__(self, client: "SQSClient", source_arn: str, destination_arn: str) -> None:
        self._client = client
        self._source_arn = source_arn
        self._destination_arn = destination_arn

    async def run(self, per_second: float, on_progress: Callable[[int], None]) -> int:
        """Start the move and wait for its end; answers how many messages went. Cancelled, it cancels the move.

        :raises NoMoveTask: when it could not be started; nothing has moved then.
        :raises MoveTaskFailed: when it ended without having moved everything, or nobody knows whether it goes on.
        """
        starting = asyncio.ensure_future(self._start(per_second))
        try:
            await ended(starting)  # cut off, nobody would cancel what it starts
            starting.result()
            return await self._until_ended(on_progress)
        except asyncio.CancelledError:
            await self._cancel(starting)
            raise

    async def _start(self, per_second: float) -> str:
        limit: Any = {"MaxNumberOfMessagesPerSecond": _whole(per_second)} if per_second else {}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.start_message_move_task(
                    SourceArn=self._source_arn, DestinationArn=self._destination_arn, **limit
                )
        except (ClientError, BotoCoreError, TimeoutError) as error:
            if _is_refusal(error):
                raise NoMoveTask(_reason(error)) from error
            # To move the messages by ourselves as well would move some of them twice.
            raise MoveTaskFailed(f"nobody knows whether SQS moves the queue: {_reason(error)}") from error
        return answer["TaskHandle"]

    async def _cancel(self, starting: "asyncio.Future[str]") -> None:
        """Cancel the move if it was started."""
        if isinstance(starting.exception(), NoMoveTask):
            return
        cancelling = asyncio.ensure_future(self._cancel_move(starting.result()))
        await ended(cancelling)
        cancelling.result()

    async def _cancel_move(self, handle: str) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.cancel_message_move_task(TaskHandle=handle)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise MoveTaskFailed(f"it goes on, but cannot be cancelled: {_reason(error)}") from error

    async def _until_ended(self, on_progress: Callable[[int], None]) -> int:
        while True:
            task = await self._look()
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            on_progress(moved)
            if task.get("Status") == "COMPLETED":
                return moved
            if task.get("Status") in {"FAILED", "CANCELLED"}:
                raise MoveTaskFailed(f"it {task['Status'].lower()} after {moved}: {task.get('FailureReason', '')}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> dict[str, Any]:
        """Return the newest move of this queue, which is ours: SQS runs one a queue."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.list_message_move_tasks(SourceArn=self._source_arn, MaxResults=1)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise MoveTaskFailed(f"it goes on, but cannot be followed: {_reason(error)}") from error
        return dict(answer["Results"][0]) if answer.get("Results") else {}


def _whole(per_second: float) -> int:
    return min(MOST_PER_SECOND, max(1, math.floor(per_second)))


def _is_refusal(error: Exception) -> bool:
    """Tell whether SQS has answered that it does not do it."""
    if not isinstance(error, ClientError):
        return False
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)) < 500


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code"))
    return type(error).__name__
