"""The origins whose web pages may use the local stack: the application's own, and those of LOCAL_ORIGINS."""

from collections.abc import Mapping

from local.errors import LocalError
from local.ports import Ports
from local.web_access.access import LOOPBACK_NAMES
from services.common.setting_checks import serialize_origin


class InvalidOriginsError(LocalError):
    """LOCAL_ORIGINS has an entry that is not an origin."""


def application_origins(ports: Ports) -> tuple[str, ...]:
    """Return the origins of the application, one for each name that it is served at."""
    return tuple(f"http://{name}:{ports.page}" for name in LOOPBACK_NAMES)


def allowed_origins(shell: Mapping[str, str], ports: Ports) -> tuple[str, ...]:
    """Return the origins of the application and of LOCAL_ORIGINS, without duplicates."""
    return tuple(dict.fromkeys((*application_origins(ports), *origins_from(shell))))


def origins_from(shell: Mapping[str, str]) -> tuple[str, ...]:
    """Read LOCAL_ORIGINS (`LOCAL_ORIGINS=http://localhost:5173,http://localhost:3000`), in the form that browsers send.

    :raises InvalidOriginsError: when an entry is not an origin.
    """
    raw = shell.get("LOCAL_ORIGINS", "").strip()
    return tuple(_origin(entry.strip()) for entry in raw.split(",")) if raw else ()


def _origin(entry: str) -> str:
    origin = serialize_origin(entry)
    if origin is None:
        raise InvalidOriginsError(
            f"LOCAL_ORIGINS must be comma-separated origins such as http://localhost:5173, not {entry!r}: "
            "http or https, a host in ASCII, a port if it is not the default one, and nothing else"
        )
    return origin
