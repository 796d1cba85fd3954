"""Task ids: in the order of time, or derived from the user and the Idempotency-Key."""

import os
import re
import time
import uuid

from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NAMESPACE = uuid.UUID("c66bd904-5f32-5bd0-8a5c-6ecf6b9a1d9b")


_RANDOM_BITS = 80
_VERSION_AND_VARIANT = 0xF << 76 | 0b11 << 62
_VERSION_7 = 0x7 << 76 | 0b10 << 62


def uuid7() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of epoch milliseconds, then random bits.

    The token service reads the age of a task from it. Ids of the same millisecond are in no order.
    """
    value = time.time_ns() // 1_000_000 << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
    return uuid.UUID(int=value & ~_VERSION_AND_VARIANT | _VERSION_7)


def task_id_for(user_id: str, idempotency_key: str | None) -> str:
    """Return the id of a task.

    :raises Problem: 400 for an invalid key.
    """
    if idempotency_key is None:
        return str(uuid7())
    if not _KEY.fullmatch(idempotency_key):
        raise Problem(
            ProblemType.INVALID_IDEMPOTENCY_KEY,
            "Idempotency-Key must be 1 to 255 visible ASCII characters, like a UUID.",
        )
    return str(uuid.uuid5(_NAMESPACE, f"{user_id}\n{idempotency_key}"))
