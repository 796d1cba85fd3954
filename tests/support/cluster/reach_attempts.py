"""Run in a pod: try each [protocol, host, port] of the JSON in sys.argv[1], and print which were reached, as JSON."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 1.5
"""A lost SYN is sent again after one second."""


def is_reached(attempt: list[str | int]) -> bool:
    protocol, host, port = str(attempt[0]), str(attempt[1]), int(attempt[2])
    try:
        if protocol == "tcp":
            socket.create_connection((host, port), SECONDS).close()
            return True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(SECONDS)
            datagrams.connect((host, port))
            datagrams.send(b"hello")
            return datagrams.recv(16) == b"hello"
    except OSError:
        return False


with ThreadPoolExecutor(32) as pool:
    sys.stdout.write(json.dumps(list(pool.map(is_reached, json.loads(sys.argv[1])))))
