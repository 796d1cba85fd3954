"""What a stage should be (`StageSpec`), and the names and addresses that its services need (`StageOutputs`)."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from k8s.operator.resources.identity import Identity
from k8s.operator.resources.queue_attributes import QueueSettings
from k8s.operator.resources.user_pool import UserPoolSettings
from notification_api import PermanentError


@dataclass(frozen=True)
class Given:
    """Existing resources that the stage uses. They are never changed or deleted."""

    queue_url: str | None = None
    dead_letter_queue_url: str | None = None
    user_pool_id: str | None = None
    user_pool_client_id: str | None = None
    cache_name: str | None = None

    @property
    def everything(self) -> bool:
        """Whether the stage creates nothing, so that there is nothing to delete."""
        return None not in (
            self.queue_url, self.dead_letter_queue_url, self.user_pool_id, self.user_pool_client_id, self.cache_name
        )  # fmt: skip


@dataclass(frozen=True)
class StageSpec:
    """What a stage should be.

    :param adopt: take over existing resources with the stage's names. They belong to it from then on, so it also
        deletes them.
    :raises PermanentError: for settings that exclude each other.
    """

    identity: Identity
    given: Given = field(default_factory=Given)
    queue: QueueSettings = field(default_factory=QueueSettings)
    user_pool: UserPoolSettings = field(default_factory=UserPoolSettings)
    adopt: bool = False

    @property
    def creates_untaggable(self) -> bool:
        """Whether the stage creates something that cannot have tags: a cache, or a client in a given pool."""
        given = self.given
        return given.cache_name is None or (given.user_pool_id is not None and given.user_pool_client_id is None)

    def __post_init__(self) -> None:
        if self.given.user_pool_client_id and not self.given.user_pool_id:
            raise PermanentError("userPool.clientId is given without userPool.id: a client belongs to one pool")


@dataclass(frozen=True)
class StageOutputs:
    """Names and addresses of a stage's resources. None of them is secret."""

    queue_url: str
    queue_arn: str
    dead_letter_queue_url: str
    dead_letter_queue_arn: str
    user_pool_id: str
    user_pool_client_id: str
    issuer: str
    jwks_url: str
    cache_name: str


def issuer(user_pool_id: str) -> str:
    """The `iss` claim of the pool's tokens. An emulated pool has AWS' host name in it too."""
    return f"https://cognito-idp.{user_pool_id.partition('_')[0]}.amazonaws.com/{user_pool_id}"


def jwks_url(user_pool_id: str, endpoint_url: str) -> str:
    """The address of the pool's key set: below its issuer, or below the endpoint of an emulator."""
    host = urlsplit(endpoint_url).hostname or ""
    is_aws = host == "amazonaws.com" or host.endswith((".amazonaws.com", ".api.aws"))
    base = issuer(user_pool_id) if is_aws else f"{endpoint_url.rstrip('/')}/{user_pool_id}"
    return f"{base}/.well-known/jwks.json"
