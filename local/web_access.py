"""Which requests of web browsers the embedded stack serves.

Every web site that a developer visits can make the browser send requests to this machine. Three headers, which a page
cannot forge, say where a request comes from: `Host` (the name in the address bar, so DNS rebinding shows in it),
`Origin` (the page, in requests across origins) and `Sec-Fetch-Site` (how page and target are related; Fetch Metadata,
https://www.w3.org/TR/fetch-metadata/). Programs that are no browsers send neither of the last two.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from local.errors import LocalError
from services.common.setting_checks import serialize_origin

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_OWN_SITES = frozenset({"same-origin", "none"})
_READING = frozenset({"GET", "HEAD"})
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII)


class BadWebAccessError(LocalError):
    """ALLOWED_ORIGINS or ALLOWED_HOSTS has an entry that no request could ever equal."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about a request; each header with all its values."""

    method: str
    target: str
    """As in the request line."""
    port: int
    """The port that the request arrived at."""
    headers: Mapping[str, tuple[str, ...]]
    """By name in small letters."""

    @classmethod
    def of(cls, method: str, target: str, port: int, headers: Iterable[tuple[str, str]]) -> Self:
        """From headers as they were sent."""
        values: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            values[name.lower()] = (*values.get(name.lower(), ()), value.strip(" \t"))
        return cls(method, target, port, values)

    def values(self, name: str) -> tuple[str, ...]:
        return self.headers.get(name, ())


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not served."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class WebAccess:
    """The origins whose pages are served, and the host names that are served besides those of this machine.

    A host may have a port (`emulators.apps.svc:4566`). Without one it is served at every port, which a port-forward
    needs. The names of this machine are always served at the port that the request arrived at.
    """

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read ALLOWED_ORIGINS and ALLOWED_HOSTS, each a list with commas; BadWebAccessError names what is wrong."""
        origins, hosts = _listed(environ.get("ALLOWED_ORIGINS", "")), _listed(environ.get("ALLOWED_HOSTS", ""))
        for origin in sorted(origins):
            if origin != serialize_origin(origin):
                raise BadWebAccessError(
                    f"ALLOWED_ORIGINS must be origins such as http://localhost:8080, with commas, not {origin!r}"
                )
        for host in sorted(hosts):
            if not _HOST.fullmatch(host):
                raise BadWebAccessError(
                    f"ALLOWED_HOSTS must be host names such as emulators.apps.svc:4566, with commas, not {host!r}"
                )
        return cls(origins, hosts)

    def refusal(self, facts: Facts, *, navigable: bool = False) -> Refused | None:
        """Why the request is refused, or None.

        :param navigable: whether a link on any page may lead here, as it may to a page that people read.
        """
        if not facts.target.startswith("/"):
            return Refused(400, "The request target must be a path.")
        if not self._is_host_served(facts):
            return Refused(421, "This server answers to localhost and 127.0.0.1 at its own port only.")
        origins = facts.values("origin")
        if origins:
            return None if self.is_served(origins) else Refused(403, "Pages of this origin are not served here.")
        sites = facts.values("sec-fetch-site")
        if set(sites) <= _OWN_SITES or (navigable and _is_navigation(facts)):
            return None
        return Refused(403, "Requests of other sites' pages are not served here.")

    def is_served(self, origins: tuple[str, ...]) -> bool:
        """Whether these values of the Origin header are one that is allowed."""
        return len(origins) == 1 and origins[0] in self.origins

    def _is_host_served(self, facts: Facts) -> bool:
        hosts = facts.values("host")
        if len(hosts) != 1:
            return False
        host = hosts[0].lower()
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, "80"
        if not (port.isascii() and port.isdigit()):
            return False
        return (name in LOOPBACK_NAMES and port == str(facts.port)) or bool({name, host} & self.hosts)


def _listed(text: str) -> frozenset[str]:
    return frozenset(part for part in (each.strip().lower() for each in text.split(",")) if part)


def _is_navigation(facts: Facts) -> bool:
    """A person follows a link or a redirect to a page of its own: the page that led here cannot read the answer."""
    return (
        facts.method in _READING
        and facts.values("sec-fetch-mode") == ("navigate",)
        and facts.values("sec-fetch-dest") == ("document",)
    )
