"""The origins whose pages may use the embedded stack: the page's own, and those that LOCAL_ORIGINS names."""

import re
from collections.abc import Mapping

from local.errors import LocalError
from local.ports import Ports

_USUAL_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>\d{{1,5}}))?", re.ASCII
)


class BadOriginsError(LocalError):
    """LOCAL_ORIGINS has an entry that is not an origin."""


def page_origins(ports: Ports) -> tuple[str, str]:
    """Of the page of the stack."""
    return f"http://localhost:{ports.page}", f"http://127.0.0.1:{ports.page}"


def allowed_origins(shell: Mapping[str, str], ports: Ports) -> tuple[str, ...]:
    """The page's origins and the developer's own, without repetitions; BadOriginsError names what is wrong."""
    return tuple(dict.fromkeys((*page_origins(ports), *origins_from(shell))))


def origins_from(shell: Mapping[str, str]) -> tuple[str, ...]:
    """What LOCAL_ORIGINS names (`LOCAL_ORIGINS=http://localhost:5173,http://localhost:3000`), as browsers send it."""
    raw = shell.get("LOCAL_ORIGINS", "").strip()
    return tuple(_origin(entry.strip()) for entry in raw.split(",")) if raw else ()


def _origin(entry: str) -> str:
    found = _ORIGIN.fullmatch(entry.lower())
    if found is None or not 0 < int(found["port"] or "1") <= _HIGHEST_PORT:
        raise BadOriginsError(
            f"LOCAL_ORIGINS must be origins such as http://localhost:5173, with commas between, not {entry!r}: "
            "http or https, a host, a port where it is not the usual one, and nothing else"
        )
    port = int(found["port"] or _USUAL_PORTS[found["scheme"]])
    origin = f"{found['scheme']}://{found['host']}"
    return origin if port == _USUAL_PORTS[found["scheme"]] else f"{origin}:{port}"
