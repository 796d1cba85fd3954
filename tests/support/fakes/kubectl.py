"""A kubectl for the forward's tests: its cluster is the folder FAKE_CLUSTER.

`services.json` is what `get services` answers; each line of `slices` is a watch event; a pod runs while the file
`pods/<name>` exists, answers every connection with its name, and its port-forward ends when the file is deleted.
"""

import http.server
import os
import sys
import threading
import time
from pathlib import Path

CLUSTER = Path(os.environ.get("FAKE_CLUSTER", "."))
POLL_SECONDS = 0.02


def watch() -> None:
    with (CLUSTER / "slices").open() as events:
        while True:
            line = events.readline()
            if line:
                sys.stdout.write(line)
                sys.stdout.flush()
            else:
                time.sleep(POLL_SECONDS)


def port_forward(pod: str) -> int:
    file = CLUSTER / "pods" / pod
    if not file.exists():
        sys.stderr.write(f'Error from server (NotFound): pods "{pod}" not found\n')
        return 1

    class Pod(http.server.BaseHTTPRequestHandler):
        """Answers with the name of the pod."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pod.encode())

        def log_message(self, *args: object) -> None:
            """Do not log requests."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pod)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"Forwarding from 127.0.0.1:{server.server_port} -> 8080\n")
    sys.stdout.flush()
    while file.exists():
        time.sleep(POLL_SECONDS)
    sys.stderr.write("error: lost connection to pod\n")
    return 1


def main(arguments: list[str]) -> int:
    if "services" in arguments:
        sys.stdout.write((CLUSTER / "services.json").read_text())
        return 0
    if "endpointslices" in arguments:
        watch()
    (pod,) = [each.removeprefix("pod/") for each in arguments if each.startswith("pod/")]
    return port_forward(pod)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
