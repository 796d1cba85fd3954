"""What a stage is known by: the names and addresses that its services are told."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class StageOutputs:
    """Nothing here is a secret."""

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
    """The `iss` of the pool's tokens; it has the real service's name even where the pool is emulated."""
    return f"https://cognito-idp.{user_pool_id.partition('_')[0]}.amazonaws.com/{user_pool_id}"


def jwks_url(user_pool_id: str, endpoint_url: str) -> str:
    """Where the pool's keys are: below its issuer, or below the endpoint that stands in for AWS."""
    host = urlsplit(endpoint_url).hostname or ""
    is_aws = host == "amazonaws.com" or host.endswith((".amazonaws.com", ".api.aws"))
    base = issuer(user_pool_id) if is_aws else f"{endpoint_url.rstrip('/')}/{user_pool_id}"
    return f"{base}/.well-known/jwks.json"
