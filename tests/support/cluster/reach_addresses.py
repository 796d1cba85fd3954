"""Run in a pod with NET_ADMIN: give addresses to `lo` (`here ADDRESS…`), or routes to them (`via GATEWAY ADDRESS…`).

Kernel interface: rtnetlink(7). The image has no `ip`. With `via`, the routes are removed on SIGTERM, and nothing is
done where the first address already accepts connections on port 80: on a cloud's node it is the real one.
"""

import signal
import socket
import struct
import sys

NEW_ADDRESS, NEW_ROUTE, DELETE_ROUTE = 20, 24, 25
REQUEST, ACKNOWLEDGE, REPLACE, CREATE = 0x1, 0x4, 0x100, 0x400
LOOPBACK, MAIN_TABLE, STATIC, UNICAST = 1, 254, 4, 1


def attribute(kind: int, address: str) -> bytes:
    return struct.pack("=HH", 8, kind) + socket.inet_aton(address)


def ask_kernel(kind: int, flags: int, body: bytes) -> None:
    """Send one message and read its acknowledgement. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACKNOWLEDGE | flags, 1, 0) + body)
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, "the kernel refused")


def add_address(address: str) -> None:
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, LOOPBACK)
    ask_kernel(NEW_ADDRESS, CREATE | REPLACE, body + attribute(1, address) + attribute(2, address))


def route(kind: int, flags: int, address: str, gateway: str) -> None:
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, MAIN_TABLE, STATIC, 0, UNICAST, 0)
    ask_kernel(kind, flags, body + attribute(1, address) + attribute(5, gateway))


def is_answered(address: str) -> bool:
    try:
        socket.create_connection((address, 80), 2).close()
    except OSError:
        return False
    return True


if sys.argv[1] == "here":
    for each in sys.argv[2:]:
        add_address(each)
else:
    given, addresses = sys.argv[2], sys.argv[3:]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if not is_answered(addresses[0]):
        for each in addresses:
            route(NEW_ROUTE, CREATE | REPLACE, each, given)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait([signal.SIGTERM])
    for each in addresses:
        try:
            route(DELETE_ROUTE, 0, each, given)
        except OSError:
            continue  # the route did not exist
