"""A stub process: `python -m tests.support.processes.stub_process NAME PORT [SWITCH ...]`.

Answers 200 on PORT, prints its pid, and follows the switches: `not-ready` answers 503, `die` ends with status 3
when asked at /die, `stubborn` ignores SIGTERM, `once` ends with status 0 without listening, `fail` with
status 4, `holder` leaves a process that keeps its output open, `chatty` writes a
line that is no text and one that is very long, `code` ends with status 2 if the file STUB_CODE says "broken".
"""

import contextlib
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType

NAME, PORT = sys.argv[1], int(sys.argv[2])
SWITCHES = set(sys.argv[3:])


def say(text: str) -> None:
    # The supervisor may have ended; that alone must not end a stub.
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), f"{text}\n".encode())


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        if self.path == "/say":
            say(f"{NAME} says something")
        if self.path == "/die":
            say(f"{NAME} is asked to die")
            os._exit(3)
        self.send_response(503 if "not-ready" in SWITCHES else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Do not log requests."""


def stop(number: int, frame: FrameType | None) -> None:
    say(f"{NAME} got {signal.Signals(number).name}")
    if "stubborn" not in SWITCHES:
        sys.exit(0)


def main() -> int:
    say(f"{NAME} started as {os.getpid()}")
    if "chatty" in SWITCHES:
        os.write(sys.stdout.fileno(), b"\xff\xfe\n" + b"x" * 40_000 + b"\nafter\n")
        say("end of chat")
    if "holder" in SWITCHES:
        holding = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        say(f"holder started as {holding.pid}")
    if "code" in SWITCHES and "broken" in Path(os.environ["STUB_CODE"]).read_text():
        say(f"{NAME} cannot use its code")
        return 2
    if "fail" in SWITCHES:
        return 4
    if "once" not in SWITCHES:
        signal.signal(signal.SIGTERM, stop)
        HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
