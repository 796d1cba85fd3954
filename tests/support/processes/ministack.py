"""MiniStack (emulated AWS) for tests: a separate process on 127.0.0.1 and a free port.

Every process has its own state: persistence is off, and what MiniStack writes to disk regardless (signing
keys, logs) goes to a private directory that is removed at the end. Within one process an access key of
twelve digits is a separate account, so tests that share a process are separated by `account_id`.
"""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from tests.support.processes.child import Child, python

REGION = "us-east-1"


class ClientSettings(TypedDict):
    """Keyword arguments for (aio)botocore's `create_client`."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


@dataclass(frozen=True)
class MiniStack:
    """A running MiniStack."""

    endpoint_url: str
    pid: int
    home: Path
    """The folder of its log and its other files."""

    @property
    def port(self) -> int:
        return int(self.endpoint_url.rsplit(":", 1)[1])

    def environment(self, account_id: str = "local") -> dict[str, str]:
        """What a service's process needs to use this instead of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": account_id,
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def client_settings(self, account_id: str = "local") -> ClientSettings:
        """For `create_client("sqs", **…)`; an access key of twelve digits is a separate account."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": REGION,
            "aws_access_key_id": account_id,
            "aws_secret_access_key": "local",
        }


def new_account_id() -> str:
    """An unused account number, as access key: an empty account."""
    return str(100_000_000_000 + secrets.randbelow(900_000_000_000))


def _environment(port: int, home: Path) -> dict[str, str]:
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "TMPDIR": str(home),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",  # else it also listens on port 8883
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",  # does not delete containers of others
        "LOG_LEVEL": "WARNING",
    }


@contextmanager
def ministack_process() -> Iterator[MiniStack]:
    """Run MiniStack; yields when it answers, stops it (by its own pid) and clears its files at the end.

    Synchronous, for a fixture of any scope.
    """
    with TemporaryDirectory(prefix="ministack-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port, listening_fd = listener.getsockname()[1], listener.fileno()
            child = Child(
                python("tests.support.processes.ministack_child", str(listening_fd)),
                _environment(port, home),
                home / "ministack.log",
                pass_fds=[listening_fd],
            )
            child.start()
        stack = MiniStack(f"http://127.0.0.1:{port}", child.pid, home)
        try:
            child.wait_until_ready(f"{stack.endpoint_url}/_ministack/ready")
            yield stack
        finally:
            child.stop()
