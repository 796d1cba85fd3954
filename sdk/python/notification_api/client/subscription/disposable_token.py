"""The disposable token of `GET /token`: where the topic is, who may subscribe, and when to ask for another one."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from notification_api.client.errors import InvalidTokenError
from notification_api.client.http import Answer

TLS_PORT = 443
RENEW_AT = 0.5
"""The share of the life of a token after which it is renewed."""
SHORTEST_RENEWAL_SECONDS = 2.0
"""However short the life of the token or wrong a clock."""
LONGEST_LIFE_SECONDS = 1_800.0
"""What the services vend. A token that looks older or younger is the effect of a wrong clock."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Momento is. A port other than 443 is an emulator's, without TLS."""

    host: str
    port: int = TLS_PORT

    @property
    def uses_tls(self) -> bool:
        return self.port == TLS_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicAccess:
    """A topic, and the credential to subscribe to it."""

    address: Address
    credential: str = field(repr=False)
    cache_name: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisposableToken:
    """A token that may subscribe to the user's own topic."""

    access: TopicAccess
    life_seconds: float
    """From now on."""

    @property
    def renew_in_seconds(self) -> float:
        """How long after it was fetched to renew it."""
        return max(SHORTEST_RENEWAL_SECONDS, self.life_seconds * RENEW_AT)


def read_token(answer: Answer, emulator: Address | None, now: float) -> DisposableToken:
    """Read the answer of `GET /token`.

    :param emulator: where an emulator is, if the address in the token cannot be reached.
    :param now: this machine's clock, in epoch seconds, for an answer without a time.
    :raises InvalidTokenError: when the token is something else. The message does not quote it.
    """
    host, credential = _unwrap(answer.required("token", str))
    expires_at = answer.required("expiresAt", int)
    remaining = expires_at - (answer.served_at or now)
    return DisposableToken(
        access=TopicAccess(
            address=cache_address(host) if emulator is None else emulator,
            credential=credential,
            cache_name=answer.required("cacheName", str),
            topic=answer.required("topic", str),
        ),
        life_seconds=min(max(remaining, 0.0), LONGEST_LIFE_SECONDS),
    )


def cache_address(endpoint: str) -> Address:
    """Return where the topics of an endpoint are: `host` of Momento, or `host:port` of an emulator.

    :raises InvalidTokenError: when it is something else.
    """
    host, _, port = endpoint.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit())):
        raise _invalid()
    number = int(port or TLS_PORT)
    return Address(f"cache.{host}" if number == TLS_PORT else host, number)


def emulator_address(url: str) -> Address:
    """Return the address of an emulator's URL.

    :raises ValueError: when it is not `http://host:port`.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError(f"The endpoint of an emulator must be like http://localhost:8085, not {url!r}")
    return Address(parts.hostname, parts.port)


def _unwrap(token: str) -> tuple[str, str]:
    """Return endpoint and credential: a disposable token is base64 JSON of `endpoint` and `api_key`."""
    try:
        fields = json.loads(base64.b64decode(token, validate=True))
        return str(fields["endpoint"]), str(fields["api_key"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise _invalid() from None


def _invalid() -> InvalidTokenError:
    return InvalidTokenError("The token service answered something that is no disposable token")
