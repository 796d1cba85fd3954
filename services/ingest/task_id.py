"""Task ids: random, or derived from the user and the Idempotency-Key."""

import re
import uuid
from http import HTTPStatus

from services.common.web.problem import Problem

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NAMESPACE = uuid.UUID("c66bd904-5f32-5bd0-8a5c-6ecf6b9a1d9b")


def task_id_for(user_id: str, idempotency_key: str | None) -> str:
    """Return the id of a task.

    :raises Problem: 400 for an invalid key.
    """
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not _KEY.fullmatch(idempotency_key):
        raise Problem(HTTPStatus.BAD_REQUEST, "Idempotency-Key must be 1 to 255 visible ASCII characters, like a UUID.")
    return str(uuid.uuid5(_NAMESPACE, f"{user_id}\n{idempotency_key}"))
