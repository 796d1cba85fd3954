"""Checks of setting values. Each raises `environs.ValidationError`, whose message follows the name of the variable."""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

from environs import ValidationError
from marshmallow.validate import Regexp

check_name = Regexp(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z", error="must be letters, digits, - and _")
check_visible_ascii = Regexp(
    r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z", error="must be visible ASCII, without spaces at its ends"
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>\d{{1,5}}))?", re.ASCII
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)


def optional(check: Callable[[str], None]) -> Callable[[str], None]:
    """Accept an empty value as well: a ConfigMap has no other way to leave an optional setting out."""
    return lambda value: check(value) if value else None


def check_http_url(value: str) -> None:
    """Require an absolute http(s) URL without user, query and fragment."""
    if not re.fullmatch(r"[\x21-\x7e]*", value):
        raise ValidationError("must be a URL, without spaces")
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError as error:
        raise ValidationError(f"must be a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValidationError("must be a URL that starts with http:// or https://")
    if "@" in url.netloc or url.query or url.fragment:
        raise ValidationError("must be a URL without user, query and fragment")


def check_issuer(value: str) -> None:
    """Require an issuer as id tokens contain it. It is compared as text, so a final slash would refuse every token."""
    check_http_url(value)
    if value.endswith("/"):
        raise ValidationError("must not end with a slash: the issuer in id tokens has none")


def check_origins(values: list[str]) -> None:
    """Require origins in the form that browsers send, since they are compared as text."""
    for value in values:
        serialized = serialize_origin(value)
        if serialized is None:
            raise ValidationError(
                f"{value!r} must be an origin like https://app.example.com: scheme, host and an optional port, no path"
            )
        if serialized != value:
            raise ValidationError(f"{value!r} must be written as browsers send it: {serialized}")


def check_momento_endpoint(value: str) -> None:
    """Require a host name, or an http:// URL with a port."""
    if "://" not in value:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", value):
            raise ValidationError("must be a host name like cell-1-us-east-1-1.prod.a.momentohq.com")
        return
    check_http_url(value)
    url = urlsplit(value)
    if url.scheme != "http" or url.port is None or url.path:
        raise ValidationError("must be a host name (TLS), or http://host:port (plaintext, for an emulator)")


def check_header_names(values: list[str]) -> None:
    """Require names of HTTP headers in lower case. `*` is refused: it would not include Authorization."""
    for value in values:
        if not re.fullmatch(r"[a-z0-9._-]{1,128}", value):
            raise ValidationError(f"{value!r} must be the name of an HTTP header, like x-tenant")


def check_hosts(values: list[str]) -> None:
    """Require values of the Host header in lower case."""
    for value in values:
        if not re.fullmatch(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", value):
            raise ValidationError(f"{value!r} must be a Host header like localhost:8081, in lower case")


def serialize_origin(text: str) -> str | None:
    """Return an origin as browsers write it in the Origin header, or None if it is not an origin.

    Lower case, without the default port, IPv6 addresses in their short form
    (https://url.spec.whatwg.org/#host-serializing).
    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None or not 0 < int(match["port"] or "1") <= _HIGHEST_PORT:
        return None
    try:
        host = _serialize_host(match["host"])
    except AddressValueError:
        return None
    default_port = _DEFAULT_PORTS[match["scheme"]]
    port = int(match["port"] or default_port)
    origin = f"{match['scheme']}://{host}"
    return origin if port == default_port else f"{origin}:{port}"


def _serialize_host(host: str) -> str:
    if host.startswith("["):
        return f"[{_serialize_ipv6(IPv6Address(host[1:-1]))}]"
    # A host whose last part is a number is an IPv4 address, which browsers send as four decimal numbers.
    return str(IPv4Address(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _serialize_ipv6(address: IPv6Address) -> str:
    if (embedded := address.ipv4_mapped) is None:
        return address.compressed
    # Python 3.13 writes the embedded IPv4 address with dots, browsers do not.
    return f"::ffff:{int(embedded) >> 16:x}:{int(embedded) & 0xFFFF:x}"
