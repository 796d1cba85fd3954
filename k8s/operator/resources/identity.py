"""Who owns a resource: the names that a stage derives, and the tags that say which stage a resource belongs to.

Limits of names: SQS "QueueName" (80 letters, digits, hyphens, underscores), Cognito "UserPoolNameType" and
"ClientNameType" (128).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from notification_api import PermanentError

TAG_PREFIX = "notification-api.io"
# The characters and the length that SQS and Cognito both accept in a tag's value.
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.:/=+@-]{1,256}")
_NAME_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_QUEUE_MAX_CHARACTERS = 80
_COGNITO_MAX_CHARACTERS = 128


class InvalidNameError(PermanentError):
    """A service or stage name cannot be used. The message lists every problem."""


@dataclass(frozen=True)
class Names:
    """The names of a stage's resources. They never change while the stage exists."""

    task_queue: str
    dead_letter_queue: str
    user_pool: str
    user_pool_client: str
    cache: str


def stage_names(service_name: str, stage_name: str) -> Names:
    """Derive all names.

    :raises InvalidNameError:
    """
    stem = f"{service_name}-{stage_name}"
    names = Names(
        task_queue=f"{stem}-tasks",
        dead_letter_queue=f"{stem}-dlq",
        user_pool=f"{stem}-UserPool",
        user_pool_client=f"{stem}-UserPoolClient",
        cache=stem,
    )
    problems = [
        *_character_problems("service name", service_name),
        *_character_problems("stage name", stage_name),
        *_length_problems("task queue", names.task_queue, _QUEUE_MAX_CHARACTERS),
        *_length_problems("dead-letter queue", names.dead_letter_queue, _QUEUE_MAX_CHARACTERS),
        *_length_problems("user pool", names.user_pool, _COGNITO_MAX_CHARACTERS),
        *_length_problems("user pool client", names.user_pool_client, _COGNITO_MAX_CHARACTERS),
    ]
    if problems:
        raise InvalidNameError("; ".join(problems))
    return names


@dataclass(frozen=True)
class Identity:
    """Which stage owns a resource. Two stages that derive the same names still have different identities.

    :param cluster: unique within the AWS account, such as the cluster's or laptop's name.
    :param owner: unique within the cluster, such as `namespace/name` of the Stage.
    :raises InvalidNameError:
    :raises PermanentError: for a cluster or owner that cannot be the value of a tag.
    """

    service_name: str
    stage_name: str
    cluster: str
    owner: str

    def __post_init__(self) -> None:
        _ = self.names
        for what, value in (("cluster", self.cluster), ("owner", self.owner)):
            if not _TAG_VALUE.fullmatch(value):
                raise PermanentError(f"{what} {value!r} cannot be a tag: 1 to 256 of A-Z a-z 0-9 _ . : / = + @ -")

    @property
    def names(self) -> Names:
        return stage_names(self.service_name, self.stage_name)

    def tags(self) -> dict[str, str]:
        """Ownership tags, which every resource of this stage has that can have tags."""
        return {
            f"{TAG_PREFIX}/service": self.service_name,
            f"{TAG_PREFIX}/stage": self.stage_name,
            f"{TAG_PREFIX}/cluster": self.cluster,
            f"{TAG_PREFIX}/owner": self.owner,
        }

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags belongs to this stage: all its ownership tags are among them."""
        return self.tags().items() <= tags.items()

    def other_owner(self, tags: Mapping[str, str]) -> str | None:
        """Which other Stage a resource with these tags belongs to. None if it has no ownership tags."""
        owner_tags = {key: value for key, value in tags.items() if key in self.tags()}
        if not owner_tags or self.owns(tags):
            return None
        owner, cluster = (owner_tags.get(f"{TAG_PREFIX}/{what}", "(not named)") for what in ("owner", "cluster"))
        return f"Stage {owner} of cluster {cluster}"

    def may_share_names_with(self, tags: Mapping[str, str]) -> bool:
        """Whether the Stage in these tags derives the same names. True also where they do not name its service."""
        service, stage = tags.get(f"{TAG_PREFIX}/service"), tags.get(f"{TAG_PREFIX}/stage")
        return service is None or stage is None or f"{service}-{stage}" == f"{self.service_name}-{self.stage_name}"


def ownership_text(tags: Mapping[str, str]) -> str:
    """The ownership tags among these, as `key=value, …`."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()) if key.startswith(f"{TAG_PREFIX}/"))


def _character_problems(what: str, part: str) -> list[str]:
    if _NAME_PART.fullmatch(part):
        return []
    return [f"{what} {part!r} may only have A-Z, a-z, 0-9, '-' and '_', and starts with a letter or digit"]


def _length_problems(what: str, name: str, max_characters: int) -> list[str]:
    excess = len(name) - max_characters
    if excess <= 0:
        return []
    return [f"{what} name {name!r} is {excess} characters too long (at most {max_characters})"]
