"""SQS's own redrive: it must not move a task before the processor has set it aside with a reason."""

import json
import logging
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def most_receives(attributes: Mapping[str, str]) -> int | None:
    """Return after how many receives SQS itself moves a message of the queue; None if it never does."""
    try:
        return int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
    except (KeyError, TypeError, ValueError):
        return None


def warn_if_sqs_is_first(attributes: Mapping[str, str], max_attempts: int) -> None:
    """Say so where the task queue's `attributes` let SQS move tasks before their attempts are used up.

    One receive more than there are attempts is needed: it is how an attempt that died with its process is found.
    """
    most = most_receives(attributes)
    if most is None or max_attempts < most:
        return
    logger.warning(
        "SQS itself moves a task to the dead-letter queue after %d receives (the task queue's maxReceiveCount),"
        " before or while MAX_ATTEMPTS=%d is used up: such tasks have no reason there, and nobody is told of them."
        " Set MAX_ATTEMPTS below maxReceiveCount",
        most,
        max_attempts,
        extra={"action": "redrive-policy"},
    )
