"""What a stage shall be: whose, made of what, and what of it is given."""

from dataclasses import dataclass, field

from k8s.operator.resources.errors import Permanent
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.queue_settings import QueueSettings
from k8s.operator.resources.user_pool_settings import UserPoolSettings


@dataclass(frozen=True)
class Given:
    """Resources that somebody else keeps: each is used as it is, and never changed or deleted."""

    queue_url: str | None = None
    dead_letter_queue_url: str | None = None
    user_pool_id: str | None = None
    user_pool_client_id: str | None = None
    cache_name: str | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is made, so that nothing is to be removed."""
        return None not in (
            self.queue_url, self.dead_letter_queue_url, self.user_pool_id, self.user_pool_client_id, self.cache_name
        )  # fmt: skip


@dataclass(frozen=True)
class StageSpec:
    """With `adopt` the stage takes over existing resources of its names: they become its own, deletion included.

    Raises `Permanent` for a combination that cannot be.
    """

    identity: Identity
    given: Given = field(default_factory=Given)
    queue: QueueSettings = field(default_factory=QueueSettings)
    user_pool: UserPoolSettings = field(default_factory=UserPoolSettings)
    adopt: bool = False

    @property
    def makes_untagged(self) -> bool:
        """Whether the stage makes what can carry no tags: a cache, or a client in a given pool."""
        given = self.given
        return given.cache_name is None or (given.user_pool_id is not None and given.user_pool_client_id is None)

    def __post_init__(self) -> None:
        if self.given.user_pool_client_id and not self.given.user_pool_id:
            raise Permanent("userPool.clientId is given without userPool.id: a client belongs to one pool")
