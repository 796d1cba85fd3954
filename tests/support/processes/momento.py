"""The Momento emulator for tests: a separate process on 127.0.0.1 and free ports, with an API key.

The soft quotas are raised, as a team has them raised by the vendor; a test of a quota sets it with `change`, or starts
with `raised=False`, which leaves the defaults of a new account.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any

from momento import CredentialProvider

ROOT = Path(__file__).resolve().parents[3]
RAISED_LIMITS = (
    "--topic-operations-per-second=1000000",
    "--subscriptions=100000",
    "--cache-operations-per-second=1000000",
    "--max-caches=1000",
    # Momento does not raise this quota, but no deployment creates caches as often as a test run.
    "--control-operations-per-second=1000000",
    "--tokens-per-second=1000",
)
PAGE_ORIGIN = "http://localhost:8080"
"""The only origin whose pages it serves."""
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_ADMIN_SECONDS = 10.0
_READY = re.compile(r"ready: gRPC 127\.0\.0\.1:(\d+), gRPC-web http://127\.0\.0\.1:(\d+)")


class MomentoEmulatorError(Exception):
    """The emulator did not start, or refused an admin call; the message says why."""


@dataclass(frozen=True)
class MomentoApiKey:
    """An API key in both forms; `v1` has the emulator's gRPC address in it, `v2` has none."""

    key_id: str
    v1: str
    v2: str


@dataclass(frozen=True)
class MomentoEmulator:
    """A running emulator, and its admin calls."""

    grpc_port: int
    web_port: int
    pid: int

    @property
    def endpoint(self) -> str:
        """For MOMENTO_ENDPOINT: plaintext gRPC."""
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def web_endpoint(self) -> str:
        """For MOMENTO_WEB_ENDPOINT: gRPC-web."""
        return f"http://127.0.0.1:{self.web_port}"

    def credentials(self, token: str) -> CredentialProvider:
        """For the momento SDK: a v2 key, or the inner `api_key` of a v1 key or a disposable token."""
        return CredentialProvider(token, "127.0.0.1", "127.0.0.1", "127.0.0.1", self.grpc_port)

    def make_key(self) -> MomentoApiKey:
        made = self.admin("POST", "keys")
        return MomentoApiKey(made["keyId"], made["v1"], made["v2"])

    def revoke_key(self, key_id: str) -> None:
        self.admin("DELETE", f"keys/{key_id}")

    def change(self, **settings: Any) -> None:
        """Change settings by their JSON names, such as `down=True` or `faults=[{"method": "Publish", …}]`."""
        self.admin("PATCH", "settings", settings)

    @contextmanager
    def changed(self, **settings: Any) -> Iterator[None]:
        """Like `change`, during the context."""
        before = self.admin("GET", "settings")
        self.change(**settings)
        try:
            yield
        finally:
            self.change(**{name: before[name] for name in settings})

    def stats(self) -> dict[str, Any]:
        return self.admin("GET", "stats")

    def abort_streams(self) -> int:
        """Abort all live streams, as a lost connection does, and return their number."""
        return int(self.admin("POST", "streams/abort")["ended"])

    def end_streams(self) -> int:
        """End all live streams cleanly, and return their number."""
        return int(self.admin("POST", "streams/end")["ended"])

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One admin call; raises `MomentoEmulatorError` if it is refused."""
        connection = HTTPConnection("127.0.0.1", self.web_port, timeout=_ADMIN_SECONDS)
        with closing(connection):
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/_emulator/{path}", content, {"x-emulator-admin": "1"})
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= 400:
            raise MomentoEmulatorError(f"{answer.status}: {text}")
        loaded: dict[str, Any] = json.loads(text or "{}")
        return loaded


@contextmanager
def momento_emulator_process(
    *options: str, grpc_port: int = 0, web_port: int = 0, raised: bool = True
) -> Iterator[MomentoEmulator]:
    """Run the emulator with `options`; stops it, by its own pid, at the end.

    With the ports of an emulator that has stopped it is that one, restarted.
    Raises `MomentoEmulatorError` when it is not ready within 20 s.
    """
    ports = [f"--grpc-port={grpc_port}", f"--web-port={web_port}"]
    # A file, not a pipe: a pipe that nothing reads would fill up and block the emulator.
    with tempfile.TemporaryFile("w+") as log:
        process, parent_watch = _spawn([*ports, *(RAISED_LIMITS if raised else ()), *options], log)
        try:
            yield _wait_until_ready(process, log)
        finally:
            _stop(process)
            os.close(parent_watch)


def _spawn(arguments: Sequence[str], log: IO[str]) -> tuple[subprocess.Popen[str], int]:
    """Start it with a parent watch, so that it always ends with the test run. Returns the pipe's end, to be closed."""
    child_end, our_end = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.parent_watch", str(child_end), "local.momento", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=[child_end],
            cwd=ROOT,
            env={**os.environ, "ALLOWED_ORIGINS": PAGE_ORIGIN},
        )
    finally:
        os.close(child_end)
    return process, our_end


def _wait_until_ready(process: subprocess.Popen[str], log: IO[str]) -> MomentoEmulator:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if readable else "nothing printed"
    if match := _READY.search(line):
        return MomentoEmulator(int(match[1]), int(match[2]), process.pid)
    _stop(process)
    log.seek(0)
    raise MomentoEmulatorError(f"the emulator did not get ready: {line}{log.read()}")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
