"""SQS's own redrive policy: it must not move a task before the processor has dead-lettered it with a reason."""

import json
import logging
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def max_receive_count(attributes: Mapping[str, str]) -> int | None:
    """Return after how many receives SQS itself moves a message of the queue; None if it never does."""
    try:
        return int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
    except (KeyError, TypeError, ValueError):
        return None


def warn_if_too_low(attributes: Mapping[str, str], max_attempts: int) -> None:
    """Log a warning if the task queue's `attributes` let SQS move tasks before their attempts are used up.

    One receive more than there are attempts is needed: it is how an attempt that died with its process is found.
    """
    limit = max_receive_count(attributes)
    if limit is None or max_attempts < limit:
        return
    logger.warning(
        "SQS itself moves a task to the dead-letter queue after %d receives (the task queue's maxReceiveCount),"
        " before or while MAX_ATTEMPTS=%d is used up: such tasks have no reason there and their users are not notified."
        " Set MAX_ATTEMPTS below maxReceiveCount",
        limit,
        max_attempts,
        extra={"action": "redrive-policy"},
    )
