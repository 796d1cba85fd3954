"""The SQS attributes of a stage's queues, and whether a queue's policy protects it against deletion. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_MAX_MESSAGE_BYTES = 1_048_576  # the limit of SQS; fits a request body of 256 KiB, quoted inside the message's JSON
_TASK_RETENTION_SECONDS = 4 * 86_400
_DELETE = "sqs:deletequeue"
_EVERYBODY = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root")


@dataclass(frozen=True)
class QueueSettings:
    """The settings of a stage that become attributes of its queues.

    :param task_retention_seconds: None for four days; a longer retention that a person set then stays.
    :param max_receive_count: SQS dead-letters a message after so many deliveries. It only matters for a processor that
        dies each time, since the processor itself dead-letters a task at its fifth attempt, with a reason.
    """

    visibility_timeout_seconds: int = 30
    receive_wait_seconds: int = 20
    task_retention_seconds: int | None = None
    dead_letter_retention_seconds: int = 14 * 86_400  # the longest retention that SQS has
    max_receive_count: int = 10

    def task_queue(self, dead_letter_queue_arn: str | None = None) -> dict[str, str]:
        """The task queue's attributes. Without the ARN: those that are known before the dead-letter queue exists."""
        common = self._common(self.task_retention_seconds or _TASK_RETENTION_SECONDS)
        if dead_letter_queue_arn is None:
            return common
        redrive = {"deadLetterTargetArn": dead_letter_queue_arn, "maxReceiveCount": self.max_receive_count}
        return common | {"RedrivePolicy": json.dumps(redrive)}

    def dead_letter_queue(self, task_queue_arn: str | None = None) -> dict[str, str]:
        """The dead-letter queue's attributes; only the task queue may use it as its dead-letter queue.

        Without the ARN: those that are known before the task queue exists.
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


def denies_deletion(policy: str) -> bool:
    """Whether a statement without a condition denies everybody `sqs:DeleteQueue` (IAM reference, policy elements).

    A denial for an account counts as one for everybody in it, and a denial for everybody but some as one for us.
    A denial with a condition does not count: a common one denies every request without TLS.
    """
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return False
    return any(_denies(each) for each in _as_list(statements) if isinstance(each, Mapping))


def _denies(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    denied = _as_list(principal.get("AWS") if isinstance(principal, Mapping) else principal)
    is_everybody = "NotPrincipal" in statement or any(_EVERYBODY.fullmatch(str(each)) for each in denied)
    if statement.get("Effect") != "Deny" or statement.get("Condition") or not is_everybody:
        return False
    if "Action" in statement:
        return _includes_deletion(statement["Action"])
    return "NotAction" in statement and not _includes_deletion(statement["NotAction"])


def _includes_deletion(actions: object) -> bool:
    return any(fnmatchcase(_DELETE, str(action).lower()) for action in _as_list(actions))


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
