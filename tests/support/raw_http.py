"""HTTP requests as raw bytes, which no client library sends."""

import socket
from contextlib import closing
from dataclasses import dataclass

WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: str
    body: str


def exchange(port: int, request: str, host: str = "127.0.0.1") -> Answer:
    """Send `request` and read until the server closes the connection."""
    with closing(socket.create_connection((host, port), WAIT_SECONDS)) as connection:
        connection.sendall(request.encode())
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head, _, body = received.decode(errors="replace").partition("\r\n\r\n")
    return Answer(int(head.split(" ")[1]) if head.startswith("HTTP/") else 0, head.lower(), body)


def asked(port: int, method: str, path: str, *headers: str, body: str = "") -> Answer:
    """One request with exactly these headers, besides those that end the connection and frame the body."""
    framing = (f"Content-Length: {len(body)}",) if body or method == "POST" else ()
    lines = [f"{method} {path} HTTP/1.1", *headers, "Connection: close", *framing]
    return exchange(port, "\r\n".join([*lines, "", body]))
