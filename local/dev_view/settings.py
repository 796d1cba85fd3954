"""Where the developer's view reads the state of the stack, from the environment of the application's server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class DevViewSettings:
    """The addresses are for this machine's programs, not for browsers."""

    logs: Path
    """The folder of the programs' log files."""
    momento_admin_url: str
    cache_name: str
    aws_url: str
    aws_secret: str = field(repr=False)
    """The secret access key of the emulated AWS, which is the bearer token for its switch."""
    command_environment: Mapping[str, str] = field(repr=False)
    """For the dead-letter command, which needs the queues and the key pair."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment. A missing variable raises KeyError: only the supervisor starts this process."""
        return cls(
            logs=Path(environ["PAGE_LOGS"]),
            momento_admin_url=environ["MOMENTO_ADMIN_URL"],
            cache_name=environ["MOMENTO_CACHE_NAME"],
            aws_url=environ["AWS_ENDPOINT_URL"],
            aws_secret=environ["AWS_SECRET_ACCESS_KEY"],
            command_environment=dict(environ),
        )
