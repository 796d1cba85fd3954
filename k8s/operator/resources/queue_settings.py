"""How a stage's queues are set, as SQS attributes."""

import json
from dataclasses import dataclass

_MAX_MESSAGE_BYTES = 1_048_576  # SQS' own limit; room for a body of 256 KiB quoted inside our JSON
_TASK_RETENTION_SECONDS = 4 * 86_400


@dataclass(frozen=True)
class QueueSettings:
    """What may be chosen. `task_retention_seconds=None`: four days, and longer where a person has set it so.

    The processor itself sets a task aside at its fifth attempt, with a reason; `max_receive_count` is the
    queue's own backstop, for a processor that dies every time.
    """

    visibility_timeout_seconds: int = 30
    receive_wait_seconds: int = 20
    task_retention_seconds: int | None = None
    dead_letter_retention_seconds: int = 14 * 86_400  # the longest SQS keeps anything
    max_receive_count: int = 10

    def task_queue(self, dead_letter_queue_arn: str | None = None) -> dict[str, str]:
        """The task queue's attributes; without the other queue's ARN: what is known before that is made."""
        common = self._common(self.task_retention_seconds or _TASK_RETENTION_SECONDS)
        if dead_letter_queue_arn is None:
            return common
        redrive = {"deadLetterTargetArn": dead_letter_queue_arn, "maxReceiveCount": self.max_receive_count}
        return common | {"RedrivePolicy": json.dumps(redrive)}

    def dead_letter_queue(self, task_queue_arn: str | None = None) -> dict[str, str]:
        """The dead-letter queue's attributes; no queue but the task queue may redrive into it.

        Without the other queue's ARN: what is known before that is made.
        """
        common = self._common(self.dead_letter_retention_seconds)
        if task_queue_arn is None:
            return common
        allow = {"redrivePermission": "byQueue", "sourceQueueArns": [task_queue_arn]}
        return common | {"RedriveAllowPolicy": json.dumps(allow)}

    def _common(self, retention_seconds: int) -> dict[str, str]:
        return {
            "VisibilityTimeout": str(self.visibility_timeout_seconds),
            "ReceiveMessageWaitTimeSeconds": str(self.receive_wait_seconds),
            "MessageRetentionPeriod": str(retention_seconds),
            "MaximumMessageSize": str(_MAX_MESSAGE_BYTES),
            "SqsManagedSseEnabled": "true",
        }
