"""A subscriber in a separate process: `python -m tests.support.momento.subscriber TOKEN CACHE TOPIC`.

It writes `subscribed`, then each message as a line. `subscriber` runs one for a test.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from notification_api.client.http import DisposableToken
from notification_api.client.subscription import credential_provider, listen
from tests.support.processes.child import Child, python, running
from tests.support.waiting import wait_until_sync


class Subscriber:
    """The messages that have arrived."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._taken = 0

    def next(self, seconds: float = 20.0) -> dict[str, Any]:
        """Return the next notification; fails when none arrives in time."""
        notification: dict[str, Any] = json.loads(self.next_text(seconds))
        return notification

    def next_text(self, seconds: float = 20.0) -> str:
        line = self._child.wait_until(self._next_line, "a message", seconds)
        self._taken += 1
        text: str = json.loads(line)
        return text

    def nothing_for(self, seconds: float) -> bool:
        """Whether nothing arrives for this time."""
        try:
            wait_until_sync(self._next_line, "a message", timeout_seconds=seconds)
        except AssertionError:
            return self._child.is_running
        return False

    def _next_line(self) -> str | None:
        """Return the next message as it was written; the lines of libraries do not start with a quote."""
        lines = [line for line in self._child.output().splitlines(keepends=True) if line.startswith('"')]
        line = lines[self._taken] if len(lines) > self._taken else ""
        return line if line.endswith("\n") else None


@contextmanager
def subscriber(token: DisposableToken) -> Iterator[Subscriber]:
    """Run a subscriber; it has subscribed when this returns."""
    command = python("tests.support.momento.subscriber", token.token, token.cache_name, token.topic)
    with running(command, {}) as child:
        started = Subscriber(child)
        assert started.next_text() == "subscribed"
        yield started


def write(text: str) -> None:
    sys.stdout.write(json.dumps(text) + "\n")
    sys.stdout.flush()


def main() -> None:
    token, cache_name, topic = sys.argv[1:]
    listen(credential_provider(token), cache_name, topic, lambda notification: write(notification.text))
    write("subscribed")
    signal.pause()


if __name__ == "__main__":
    main()
