"""What other Stages have marked, as seen on every resource that this stage uses or whose name it derives.

A cache and a client carry no tags. That they are another Stage's is seen on what does: a record of it
(`made-cache`, `made-client`) on queues and pools that bear another's marks, given ones included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from k8s.operator.resources.identity import TAG_PREFIX, Identity, marks_text
from k8s.operator.resources.queue import Queue
from k8s.operator.resources.user_pool import UserPool

CACHE_KIND, CLIENT_KIND = "cache", "client"


def record_key(kind: str) -> str:
    """The tag that records who made something; its value is the cache's name, or the id of the client's pool."""
    return f"{TAG_PREFIX}/made-{kind}"


@dataclass(frozen=True)
class OtherOwners:
    """Those of the resources that other Stages have marked."""

    identity: Identity
    resources: Sequence[Queue | UserPool]

    def that_recorded(self, kind: str, name: str) -> str | None:
        """Which other Stage has recorded that it made this; None where no resource says so.

        A client needs no record in a pool of its own Stage. Stages of other names have clients of other names.
        """
        for resource in self.resources:
            recorded = resource.tags.get(record_key(kind)) == name
            if kind == CLIENT_KIND:
                in_it = isinstance(resource, UserPool) and resource.pool_id == name
                recorded = (recorded or in_it) and self.identity.names_alike(resource.tags)
            if recorded:
                return self._owner(resource)
        return None

    def of_the_same_names(self) -> str | None:
        """Which other Stage derives the same names, so that an unrecorded thing of such a name may be its."""
        return next((self._owner(each) for each in self.resources if self.identity.names_alike(each.tags)), None)

    def _owner(self, resource: Queue | UserPool) -> str:
        owner, tags = self.identity.other_owner(resource.tags), marks_text(resource.tags)
        return f"{owner} (tags of {resource.title}: {tags})"


def other_owners(identity: Identity, seen: Sequence[Queue | UserPool | None]) -> OtherOwners:
    """Pick out what bears the marks of others."""
    return OtherOwners(identity, [each for each in seen if each and identity.other_owner(each.tags)])
