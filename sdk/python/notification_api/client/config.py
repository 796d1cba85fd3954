"""What a client needs to know about a stage to sign a user in and to call the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """The addresses of a stage and its user pool."""

    api_url: str
    user_pool_id: str
    user_pool_client_id: str
    cognito_endpoint: str | None = None
    """None: the public endpoint of the user pool's region."""

    @classmethod
    def from_json(cls, fields: Mapping[str, str], url: str) -> Self:
        """Read what an application serves at `/config.json`.

        :param url: where it was read; `apiUrl` may be relative to it.
        :raises KeyError: when a field is missing.
        """
        return cls(
            api_url=urljoin(url, fields["apiUrl"]).rstrip("/"),
            user_pool_id=fields["userPoolId"],
            user_pool_client_id=fields["userPoolClientId"],
            cognito_endpoint=fields.get("cognitoEndpoint") or None,
        )

    @property
    def cognito_url(self) -> str:
        """Where Cognito's API is."""
        region, _, _ = self.user_pool_id.partition("_")
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return self.cognito_endpoint or f"https://cognito-idp.{region}.{domain}"
