"""Decides which requests of web browsers the local stack serves.

Every web site that a developer visits can make the browser send requests to this machine. Three headers, which a page
cannot forge, identify the source of a request: `Host` (the name in the address bar, which reveals DNS rebinding),
`Origin` (the page, in requests across origins) and `Sec-Fetch-Site` (the relation of page and target; Fetch Metadata,
https://www.w3.org/TR/fetch-metadata/). Programs other than browsers send neither of the last two.
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


class InvalidWebAccessError(LocalError):
    """ALLOWED_ORIGINS or ALLOWED_HOSTS has an entry that no request can match."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The properties of a request that decide whether it is served."""

    method: str
    target: str
    """The request target, as in the request line."""
    port: int
    """The port that the request arrived at."""
    headers: Mapping[str, tuple[str, ...]]
    """All values of each header, by its name in lower case."""

    @classmethod
    def of(cls, method: str, target: str, port: int, headers: Iterable[tuple[str, str]]) -> Self:
        """Create them from the headers of a request."""
        values: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            values[name.lower()] = (*values.get(name.lower(), ()), value.strip(" \t"))
        return cls(method, target, port, values)

    def values(self, name: str) -> tuple[str, ...]:
        return self.headers.get(name, ())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is rejected."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class WebAccess:
    """The origins whose pages are served, and the host names that are served in addition to those of this machine.

    A host may have a port (`emulators.apps.svc:4566`). Without one it is served at every port, as a port-forward
    requires. The names of this machine are always served at the port of the listener.
    """

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read ALLOWED_ORIGINS and ALLOWED_HOSTS, each a comma-separated list.

        :raises InvalidWebAccessError: when an entry is invalid.
        """
        origins, hosts = _listed(environ.get("ALLOWED_ORIGINS", "")), _listed(environ.get("ALLOWED_HOSTS", ""))
        for origin in sorted(origins):
            if origin != serialize_origin(origin):
                raise InvalidWebAccessError(
                    f"ALLOWED_ORIGINS must be comma-separated origins such as http://localhost:8080, not {origin!r}"
                )
        for host in sorted(hosts):
            if not _HOST.fullmatch(host):
                raise InvalidWebAccessError(
                    f"ALLOWED_HOSTS must be comma-separated host names such as emulators.apps.svc:4566, not {host!r}"
                )
        return cls(origins, hosts)

    def refusal(self, facts: RequestFacts, *, navigable: bool = False) -> Refusal | None:
        """Return why the request is rejected, or None.

        :param navigable: whether a link on any web page may lead here, as to a page that people read.
        """
        if not facts.target.startswith("/"):
            return Refusal(400, "The request target must be a path.")
        if not self._is_host_served(facts):
            return Refusal(421, "This server answers only to localhost and 127.0.0.1 at its own port.")
        origins = facts.values("origin")
        if origins:
            return None if self.is_served(origins) else Refusal(403, "Web pages of this origin are not served.")
        sites = facts.values("sec-fetch-site")
        if set(sites) <= _OWN_SITES or (navigable and _is_navigation(facts)):
            return None
        return Refusal(403, "Requests from other web sites are not served.")

    def is_served(self, origins: tuple[str, ...]) -> bool:
        """Whether these values of the Origin header are a single allowed one."""
        return len(origins) == 1 and origins[0] in self.origins

    def _is_host_served(self, facts: RequestFacts) -> bool:
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


def _is_navigation(facts: RequestFacts) -> bool:
    """Whether a person follows a link or a redirect. The page that led here cannot read the response."""
    return (
        facts.method in _READING
        and facts.values("sec-fetch-mode") == ("navigate",)
        and facts.values("sec-fetch-dest") == ("document",)
    )
