"""StartMessageMoveTask: lets SQS move a whole dead-letter queue."""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from notification_api import PermanentError, TransientError
from services.processor.dead_letters.inventory import Inventory
from services.processor.dead_letters.reader import MOVED_BY_SQS, wait_uninterrupted

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_sqs import SQSClient

POLL_SECONDS = 2.0
MOST_PER_SECOND = 500
"""The maximum of MaxNumberOfMessagesPerSecond in SQS."""
CALL_SECONDS = 10.0


class MoveTaskRefused(PermanentError):
    """SQS cannot move this queue, or the permission is missing. The message says which."""


class MoveTaskFailed(TransientError):
    """The move started and failed. The remaining messages stay in the dead-letter queue."""


def reason_to_copy(inventory: Inventory, counted: int) -> str | None:
    """Return why SQS must not move the queue, or None if it may.

    SQS moves every message with its attributes as a new message. A message that SQS had dead-lettered has no attribute
    that makes the processor check the history, so a finished task would run again. Duplicates would be moved as well.

    :param counted: the messages that SQS had counted before they were read, those in flight included.
    """
    if inventory.cut_short or inventory.is_partial or len(inventory.entries) < counted:
        return "not all messages could be read"
    if any(dead_letter.reason == MOVED_BY_SQS for dead_letter in inventory.dead_letters):
        return "SQS itself dead-lettered some messages"
    return "some messages are duplicates" if inventory.duplicates() else None


class MoveTask:
    """Moves everything from one queue to another."""

    def __init__(self, client: "SQSClient", source_arn: str, destination_arn: str) -> None:
        self._client = client
        self._source_arn = source_arn
        self._destination_arn = destination_arn

    async def run(self, per_second: float, on_progress: Callable[[int], None]) -> int:
        """Start the move and wait for its end; return the number of moved messages. A cancellation cancels the move.

        :raises MoveTaskRefused: when it was not started.
        :raises MoveTaskFailed: when it failed, or its state is unknown.
        """
        starting = asyncio.ensure_future(self._start(per_second))
        try:
            await wait_uninterrupted(starting)  # if it were interrupted, the started move could not be cancelled
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
                raise MoveTaskRefused(_reason(error)) from error
            # The messages are not copied then, since SQS may be moving them as well.
            raise MoveTaskFailed(f"it is unknown whether SQS moves the queue: {_reason(error)}") from error
        return answer["TaskHandle"]

    async def _cancel(self, starting: "asyncio.Future[str]") -> None:
        """Cancel the move if it was started."""
        if isinstance(starting.exception(), MoveTaskRefused):
            return
        cancelling = asyncio.ensure_future(self._cancel_move(starting.result()))
        await wait_uninterrupted(cancelling)
        cancelling.result()

    async def _cancel_move(self, handle: str) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.cancel_message_move_task(TaskHandle=handle)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise MoveTaskFailed(f"the move continues, but cannot be cancelled: {_reason(error)}") from error

    async def _until_ended(self, on_progress: Callable[[int], None]) -> int:
        while True:
            task = await self._poll()
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            on_progress(moved)
            if task.get("Status") == "COMPLETED":
                return moved
            if task.get("Status") in {"FAILED", "CANCELLED"}:
                raise MoveTaskFailed(f"it {task['Status'].lower()} after {moved}: {task.get('FailureReason', '')}")
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self) -> dict[str, Any]:
        """Return the newest move of this queue. SQS runs one move per queue."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.list_message_move_tasks(SourceArn=self._source_arn, MaxResults=1)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise MoveTaskFailed(f"the move continues, but its progress cannot be read: {_reason(error)}") from error
        return dict(answer["Results"][0]) if answer.get("Results") else {}


def _whole(per_second: float) -> int:
    return min(MOST_PER_SECOND, max(1, math.floor(per_second)))


def _is_refusal(error: Exception) -> bool:
    """Return whether SQS has refused the call."""
    if not isinstance(error, ClientError):
        return False
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)) < 500


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code"))
    return type(error).__name__
