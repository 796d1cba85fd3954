"""The settings of the application's server, from its environment (local/environment.py)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from environs import ValidationError

from local.dev_view.settings import DevViewSettings
from local.errors import LocalError
from local.web_access.access import WebAccess
from services.common.setting_numbers import parse_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses are those that a browser on this machine uses, except those that only the server uses."""

    port: int
    bundle: Path
    mails_url: str
    """Only the server uses it."""
    mails_key: str = field(repr=False)
    """The secret access key of the emulated AWS, which is the bearer token for its mails."""
    access: WebAccess
    services: Mapping[str, str] | None
    """The base URLs by service, to which the API's paths are forwarded. Only the server uses them. None: `make forward`
    forwards the paths."""
    dev_view: DevViewSettings | None
    """None: there is none."""
    momento_url: str
    cognito_url: str
    region: str
    user_pool_id: str
    user_pool_client_id: str
    task_types: tuple[str, ...] = ()
    """The task types that ingest accepts; none: every type."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment. A missing variable raises KeyError: only the supervisor starts this process."""
        return cls(
            port=page_port(environ),
            bundle=Path(environ["PAGE_BUNDLE"]),
            mails_url=environ["PAGE_MAILS_URL"],
            mails_key=environ["AWS_SECRET_ACCESS_KEY"],
            access=WebAccess.from_environment(environ),
            services={"token": environ["PAGE_TOKEN_URL"], "ingest": environ["PAGE_INGEST_URL"]},
            dev_view=DevViewSettings.from_environment(environ),
            momento_url=environ["PAGE_MOMENTO_URL"],
            cognito_url=environ["PAGE_COGNITO_URL"],
            region=environ["PAGE_REGION"],
            user_pool_id=environ["PAGE_USER_POOL_ID"],
            user_pool_client_id=environ["PAGE_USER_POOL_CLIENT_ID"],
            task_types=split_task_types(environ.get("TASK_TYPES", "")),
        )

    @property
    def api_url(self) -> str:
        """The base URL of the API: the page's own origin, by the name that the start message prints."""
        return f"http://localhost:{self.port}"

    def client_config(self) -> dict[str, Any]:
        """Return the content of /config.json: everything a client needs to know."""
        config: dict[str, Any] = {
            "apiUrl": self.api_url,
            "region": self.region,
            "userPoolId": self.user_pool_id,
            "userPoolClientId": self.user_pool_client_id,
            "cognitoEndpoint": self.cognito_url,
        }
        return config | ({"taskTypes": list(self.task_types)} if self.task_types else {})

    def connects_to(self) -> tuple[str, ...]:
        """Return the origins that the browser application may connect to, in addition to its own."""
        return (self.api_url, self.cognito_url, self.momento_url)


def split_task_types(text: str) -> tuple[str, ...]:
    """Return the names in TASK_TYPES, which ingest checks."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def page_port(environ: Mapping[str, str]) -> int:
    """Return PAGE_PORT.

    :raises LocalError: when it is not a port.
    """
    try:
        port = parse_whole(environ["PAGE_PORT"])
    except ValidationError as error:
        raise LocalError(f"PAGE_PORT {error.args[0]}") from None
    if not 1 <= port <= 65_535:
        raise LocalError(f"PAGE_PORT must be from 1 to 65535, not {port}")
    return port
