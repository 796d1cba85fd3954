"""A subscriber in a separate process: `python -m tests.support.momento.subscriber`.

Reads the answer of GET /token from its input, subscribes, writes `subscribed`, then each message as a line.
`subscriber` runs one for a test.
"""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.environment import base_environment
from local.plan import ROOT
from notification_api.client.http import DisposableToken
from notification_api.client.subscription import credential_provider, listen

START_SECONDS = 30.0


class Subscriber:
    """The messages that have arrived."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line.rstrip("\n"))

    def next(self, seconds: float = 20.0) -> dict[str, Any]:
        """Return the next notification; raises queue.Empty when none arrives in time."""
        notification: dict[str, Any] = json.loads(self.next_text(seconds))
        return notification

    def next_text(self, seconds: float = 20.0) -> str:
        text: str = json.loads(self._lines.get(timeout=seconds))
        return text

    def nothing_for(self, seconds: float) -> bool:
        """Whether nothing arrives for this time."""
        try:
            self._lines.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@contextmanager
def subscriber(token: DisposableToken, environment: dict[str, str]) -> Iterator[Subscriber]:
    """Run a subscriber; it has subscribed when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.momento.subscriber"],
        cwd=ROOT,
        env=base_environment(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdin is None:
            raise AssertionError
        process.stdin.write(json.dumps([token.token, token.cache_name, token.topic]) + "\n")
        process.stdin.flush()
        running = Subscriber(process)
        if running.next_text(START_SECONDS) != "subscribed":
            raise AssertionError("the subscriber did not subscribe")
        yield running
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def write(text: str) -> None:
    sys.stdout.write(json.dumps(text) + "\n")
    sys.stdout.flush()


def main() -> None:
    token, cache_name, topic = json.loads(sys.stdin.readline())
    listen(credential_provider(token), cache_name, topic, lambda notification: write(notification.text))
    write("subscribed")
    sys.stdin.read()


if __name__ == "__main__":
    main()
