"""Whose a resource is: a stage's identity and the tags that prove it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from k8s.operator.resources.errors import Permanent
from k8s.operator.resources.names import Names, stage_names

TAG_PREFIX = "notification-api.io"
# The characters and length that SQS and Cognito both take in a tag's value.
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.:/=+@-]{1,256}")


@dataclass(frozen=True)
class Identity:
    """Who makes a stage. Stages whose names derive alike still differ here, so none touches another's.

    `cluster` names the cluster (or laptop) uniquely within the AWS account; `owner` names what in it the stage
    belongs to, such as `namespace/name` of its Stage resource. Raises `InvalidName` for names that cannot be
    used and `Permanent` for a cluster or owner that cannot be a tag.
    """

    service_name: str
    stage_name: str
    cluster: str
    owner: str

    def __post_init__(self) -> None:
        _ = self.names
        for what, value in (("cluster", self.cluster), ("owner", self.owner)):
            if not _TAG_VALUE.fullmatch(value):
                raise Permanent(f"{what} {value!r} cannot be a tag: 1 to 256 of A-Z a-z 0-9 _ . : / = + @ -")

    @property
    def names(self) -> Names:
        return stage_names(self.service_name, self.stage_name)

    def tags(self) -> dict[str, str]:
        """The tags on everything that this stage makes and that can carry tags."""
        return {
            f"{TAG_PREFIX}/service": self.service_name,
            f"{TAG_PREFIX}/stage": self.stage_name,
            f"{TAG_PREFIX}/cluster": self.cluster,
            f"{TAG_PREFIX}/owner": self.owner,
        }

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags is this stage's: every one of ours, whatever else there is."""
        return self.tags().items() <= tags.items()

    def other_owner(self, tags: Mapping[str, str]) -> str | None:
        """Which other Stage a resource with these tags belongs to; None where no Stage has marked it."""
        marks = {key: value for key, value in tags.items() if key in self.tags()}
        if not marks or self.owns(tags):
            return None
        owner, cluster = (marks.get(f"{TAG_PREFIX}/{what}", "(not named)") for what in ("owner", "cluster"))
        return f"Stage {owner} of cluster {cluster}"

    def names_alike(self, tags: Mapping[str, str]) -> bool:
        """Whether the Stage that these tags name derives the same names as this one, as far as they tell."""
        service, stage = tags.get(f"{TAG_PREFIX}/service"), tags.get(f"{TAG_PREFIX}/stage")
        return service is None or stage is None or f"{service}-{stage}" == f"{self.service_name}-{self.stage_name}"


def marks_text(tags: Mapping[str, str]) -> str:
    """Our marks among these tags, as a person finds them."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()) if key.startswith(f"{TAG_PREFIX}/"))
