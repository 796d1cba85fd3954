"""What the page server needs to know; the supervisor puts it into the environment (local/environment.py)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from local.web_access import WebAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses are as a browser here reaches them, but for `mails_url`, which only the server asks."""

    port: int
    bundle: Path
    mails_url: str
    mails_key: str = field(repr=False)
    """The secret access key of the emulated AWS, which is what its mails are read with."""
    access: WebAccess
    token_url: str
    task_url: str
    momento_url: str
    cognito_url: str
    region: str
    user_pool_id: str
    user_pool_client_id: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Raises KeyError for what is missing: only the supervisor starts this process, so that is a bug."""
        return cls(
            port=int(environ["PAGE_PORT"]),
            bundle=Path(environ["PAGE_BUNDLE"]),
            mails_url=environ["PAGE_MAILS_URL"],
            mails_key=environ["PAGE_MAILS_KEY"],
            access=WebAccess.from_environment(environ),
            token_url=environ["PAGE_TOKEN_URL"],
            task_url=environ["PAGE_TASK_URL"],
            momento_url=environ["PAGE_MOMENTO_URL"],
            cognito_url=environ["PAGE_COGNITO_URL"],
            region=environ["PAGE_REGION"],
            user_pool_id=environ["PAGE_USER_POOL_ID"],
            user_pool_client_id=environ["PAGE_USER_POOL_CLIENT_ID"],
        )

    def client_config(self) -> dict[str, str]:
        """All that a client needs: the answer at /config.json."""
        return {
            "tokenUrl": self.token_url,
            "taskUrl": self.task_url,
            "region": self.region,
            "userPoolId": self.user_pool_id,
            "userPoolClientId": self.user_pool_client_id,
            "cognitoEndpoint": self.cognito_url,
        }

    def talks_to(self) -> tuple[str, ...]:
        """The origins that the browser application may connect to, besides its own."""
        return (self.token_url, self.task_url, self.cognito_url, self.momento_url)
