"""The origins whose pages may use the embedded stack: the page's own, and those that LOCAL_ORIGINS names."""

from collections.abc import Mapping

from local.errors import LocalError
from local.ports import Ports
from local.web_access import LOOPBACK_NAMES
from services.common.setting_checks import serialize_origin


class BadOriginsError(LocalError):
    """LOCAL_ORIGINS has an entry that is not an origin."""


def page_origins(ports: Ports) -> tuple[str, ...]:
    """Of the page of the stack, by each name that it is served at."""
    return tuple(f"http://{name}:{ports.page}" for name in LOOPBACK_NAMES)


def allowed_origins(shell: Mapping[str, str], ports: Ports) -> tuple[str, ...]:
    """The page's origins and the developer's own, without repetitions; BadOriginsError names what is wrong."""
    return tuple(dict.fromkeys((*page_origins(ports), *origins_from(shell))))


def origins_from(shell: Mapping[str, str]) -> tuple[str, ...]:
    """What LOCAL_ORIGINS names (`LOCAL_ORIGINS=http://localhost:5173,http://localhost:3000`), as browsers send it."""
    raw = shell.get("LOCAL_ORIGINS", "").strip()
    return tuple(_origin(entry.strip()) for entry in raw.split(",")) if raw else ()


def _origin(entry: str) -> str:
    origin = serialize_origin(entry)
    if origin is None:
        raise BadOriginsError(
            f"LOCAL_ORIGINS must be origins such as http://localhost:5173, with commas between, not {entry!r}: "
            "http or https, a host in ASCII, a port where it is not the usual one, and nothing else"
        )
    return origin
