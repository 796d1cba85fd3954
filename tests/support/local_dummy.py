"""A stand-in for a process: `python -m tests.support.local_dummy NAME PORT [SWITCH ...]`.

Answers 200 on PORT, tells its pid, and obeys the switches: `not-ready` answers 503, `die` ends with status 3
when asked at /die, `stubborn` ignores SIGTERM, `once` ends with status 0 without listening, `fail` with
status 4, `chatty` writes a line that is no text and one that is very long.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(name: str, port: int, switches: set[str]) -> None:
    say(f"{name} started as {os.getpid()}")
    if "chatty" in switches:
        sys.stdout.buffer.write(b"\xff\xfe\n" + b"x" * 200_000 + b"\nafter\n")
        say("end of chat")
    if switches & {"once", "fail"}:
        sys.exit(4 if "fail" in switches else 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/die":
                say(f"{name} is told to die")
                os._exit(3)
            self.send_response(503 if "not-ready" in switches else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing of requests."""

    def stop(number: int, frame: FrameType | None) -> None:
        say(f"{name} got {signal.Signals(number).name}")
        if "stubborn" not in switches:
            sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), set(sys.argv[3:]))
