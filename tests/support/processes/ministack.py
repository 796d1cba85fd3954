"""MiniStack (emulated AWS) for tests: a separate process on 127.0.0.1 and a free port.

Every process has its own state: persistence is off, and what MiniStack writes to disk regardless (signing
keys, logs) goes to a private directory that is removed at the end. Within one process an access key of
twelve digits is a separate account, so tests that share a process are separated by `account_id`.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

REGION = "us-east-1"
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class MiniStackError(Exception):
    """MiniStack did not start or did not answer; the message ends with the tail of its log."""


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
    log_path: Path

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


def _environment(port: int, home: Path, marker: str) -> dict[str, str]:
    """The complete environment, without a developer's own AWS_, MINISTACK_ or PERSIST_STATE settings."""
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return inherited | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_EDITION": marker,  # returned by /_ministack/health: identifies this server
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "TMPDIR": str(home),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",  # else it also listens on port 8883
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",  # does not delete containers of others
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }


def _get(url: str) -> dict[str, object]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_START_SECONDS) as answer:
        loaded: dict[str, object] = json.load(answer)
        return loaded


def _wait_until_ready(process: subprocess.Popen[bytes], stack: MiniStack, marker: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise MiniStackError(f"MiniStack ended with {process.returncode}: {_tail(stack.log_path)}")
        try:
            _get(f"{stack.endpoint_url}/_ministack/ready")
            health = _get(f"{stack.endpoint_url}/_ministack/health")
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_SECONDS)
            continue
        if health.get("edition") != marker:
            raise MiniStackError(f"another server answers at {stack.endpoint_url}")
        return
    raise MiniStackError(f"MiniStack not ready after {_START_SECONDS} s: {_tail(stack.log_path)}")


def _tail(log_path: Path) -> str:
    return log_path.read_text(errors="replace")[-2000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _spawn(listener: socket.socket, home: Path, marker: str) -> subprocess.Popen[bytes]:
    port = listener.getsockname()[1]
    child = Path(__file__).with_name("ministack_child.py")
    with (home / "ministack.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", str(child), str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(port, home, marker),
            pass_fds=[listener.fileno()],
            cwd=home,
        )


@contextmanager
def ministack_process() -> Iterator[MiniStack]:
    """Run MiniStack; yields when it answers, stops it (by its own pid) and clears its files at the end.

    Synchronous, for a fixture of any scope. Raises `MiniStackError` when it is not ready within 30 s.
    """
    home = Path(tempfile.mkdtemp(prefix="ministack-"))
    marker = secrets.token_hex(8)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = _spawn(listener, home, marker)
            stack = MiniStack(f"http://127.0.0.1:{listener.getsockname()[1]}", process.pid, home / "ministack.log")
        try:
            _wait_until_ready(process, stack, marker)
            yield stack
        finally:
            _stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)
