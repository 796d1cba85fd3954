"""The origin of a web page: scheme, host and port, compared letter by letter with what browsers send."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_USUAL_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>\d{{1,5}}))?", re.ASCII
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)


def as_browsers_send(text: str) -> str | None:
    """Return the origin in the form of browsers' Origin header, or None for what no browser sends.

    Small letters, the usual port left out, an IPv6 address in its short form
    (https://url.spec.whatwg.org/#host-serializing).
    """
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or not 0 < int(found["port"] or "1") <= _HIGHEST_PORT:
        return None
    try:
        host = _host(found["host"])
    except AddressValueError:
        return None
    port = int(found["port"] or _USUAL_PORTS[found["scheme"]])
    origin = f"{found['scheme']}://{host}"
    return origin if port == _USUAL_PORTS[found["scheme"]] else f"{origin}:{port}"


def _host(host: str) -> str:
    if host.startswith("["):
        return f"[{_short(IPv6Address(host[1:-1]))}]"
    # Browsers read a host as an IPv4 address if its last part is a number, and send the four decimal numbers of it.
    return str(IPv4Address(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _short(address: IPv6Address) -> str:
    if (embedded := address.ipv4_mapped) is None:
        return address.compressed
    # Python 3.13 writes the IPv4 address with dots, browsers do not.
    return f"::ffff:{int(embedded) >> 16:x}:{int(embedded) & 0xFFFF:x}"
