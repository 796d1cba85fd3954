"""The Momento emulator for tests: a separate process on 127.0.0.1 and free ports, with an API key.

The soft quotas are raised, as a team has them raised by the vendor; a test of a quota sets it with `change`, or starts
with `raised=False`, which leaves the defaults of a new account.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from momento import CredentialProvider

from tests.support.processes.child import python, running

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
_ADMIN_SECONDS = 10.0
_READY = r"ready: gRPC 127\.0\.0\.1:(\d+), gRPC-web http://127\.0\.0\.1:(\d+)\n"


class MomentoEmulatorError(Exception):
    """The emulator refused an admin call; the message says why."""


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
    """
    ports = [f"--grpc-port={grpc_port}", f"--web-port={web_port}"]
    command = python("local.momento", *ports, *(RAISED_LIMITS if raised else ()), *options)
    with running(command, {"ALLOWED_ORIGINS": PAGE_ORIGIN}) as child:
        ready = child.wait_for_output(_READY)
        yield MomentoEmulator(int(ready[1]), int(ready[2]))
