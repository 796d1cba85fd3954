"""What a client needs to know, as the page server tells it at /config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """All of /config.json."""

    token_url: str
    task_url: str
    region: str
    user_pool_id: str
    user_pool_client_id: str
    cognito_endpoint: str

    @classmethod
    def from_json(cls, fields: Mapping[str, str]) -> Self:
        """Raises KeyError for what is missing."""
        return cls(
            token_url=fields["tokenUrl"],
            task_url=fields["taskUrl"],
            region=fields["region"],
            user_pool_id=fields["userPoolId"],
            user_pool_client_id=fields["userPoolClientId"],
            cognito_endpoint=fields["cognitoEndpoint"],
        )
