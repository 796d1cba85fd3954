"""The names of a stage's resources: pure functions of service and stage name.

Sources of the limits: SQS "QueueName" (80 of letters, digits, hyphen, underscore), Cognito "UserPoolNameType"
and "ClientNameType" (128).
"""

import re
from dataclasses import dataclass

from k8s.operator.resources.errors import Permanent

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_QUEUE_MAX_CHARACTERS = 80
_COGNITO_MAX_CHARACTERS = 128


class InvalidName(Permanent):
    """A service or stage name cannot be used; the message names every problem at once."""


@dataclass(frozen=True)
class Names:
    """The derived names. They never change while a stage lives."""

    task_queue: str
    dead_letter_queue: str
    user_pool: str
    user_pool_client: str
    cache: str


def stage_names(service_name: str, stage_name: str) -> Names:
    """Derive and check all names. Raises `InvalidName`."""
    stem = f"{service_name}-{stage_name}"
    names = Names(
        task_queue=f"{stem}-tasks",
        dead_letter_queue=f"{stem}-dlq",
        user_pool=f"{stem}-UserPool",
        user_pool_client=f"{stem}-UserPoolClient",
        cache=stem,
    )
    problems = [
        *_unusable("service name", service_name),
        *_unusable("stage name", stage_name),
        *_too_long("task queue", names.task_queue, _QUEUE_MAX_CHARACTERS),
        *_too_long("dead-letter queue", names.dead_letter_queue, _QUEUE_MAX_CHARACTERS),
        *_too_long("user pool", names.user_pool, _COGNITO_MAX_CHARACTERS),
        *_too_long("user pool client", names.user_pool_client, _COGNITO_MAX_CHARACTERS),
    ]
    if problems:
        raise InvalidName("; ".join(problems))
    return names


def _unusable(what: str, part: str) -> list[str]:
    if _PART.fullmatch(part):
        return []
    return [f"{what} {part!r} may only have A-Z, a-z, 0-9, '-' and '_', and starts with a letter or digit"]


def _too_long(what: str, name: str, max_characters: int) -> list[str]:
    excess = len(name) - max_characters
    if excess <= 0:
        return []
    return [f"{what} name {name!r} is {excess} characters too long (at most {max_characters})"]
