"""Settings: read from the environment once, at start, with every mistake named at once.

A service composes the groups below in its own ``settings.py``::

    def read_settings(env: Env) -> TokenSettings:
        return TokenSettings(service=read_service(env), oidc=read_oidc(env))

    settings = load(read_settings)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from environs import Env, EnvValidationError, ValidationError
from marshmallow.validate import OneOf, Regexp

from services.common.setting_numbers import read_float, read_int, read_optional_int
from services.common.web.origin import as_browsers_send

S = TypeVar("S")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PRODUCTION_STAGE = "prod"
MIN_MEMORY_BYTES = 128 * 1024 * 1024
"""A service needs nearly 100 MiB before its first request."""
MAX_MEMORY_BYTES = 1024**4

is_name = Regexp(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z", error="must be letters, digits, - and _")
is_visible = Regexp(
    r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z", error="must be visible ASCII, without spaces at its ends"
)
PORT_RANGE = {"least": 1, "most": 65_535}


class SettingsError(Exception):
    """Settings are missing or malformed; ``problems`` maps each variable to what is wrong with it."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        self.problems = problems
        lines = [f"  {name}: {'; '.join(problems[name])}" for name in sorted(problems)]
        super().__init__("The settings cannot be used. Correct these environment variables:\n" + "\n".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What every service needs, whatever it does."""

    service_name: str
    stage_name: str
    log_level: str
    host: str
    port: int
    ops_port: int
    shutdown_delay_seconds: float
    """How long readiness is down before the listener closes, so that load balancers have seen it."""
    shutdown_grace_seconds: float
    """How long a stop may take after that; below the pod's termination grace period."""
    otlp_endpoint: str | None = None
    """Where traces go, by OTLP over gRPC; None for nowhere."""
    allowed_hosts: frozenset[str] = frozenset()
    """The values of the Host header that both ports serve; empty for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """What a service with a public HTTP API needs besides."""

    allowed_origins: frozenset[str]
    max_body_bytes: int
    request_timeout_seconds: float
    cors_allowed_headers: frozenset[str] = frozenset()
    """Request headers that pages may send besides those that are allowed anyway; small letters."""
    memory_limit_bytes: int | None = None
    """What the process may use; None for the limit of its container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Whose id tokens are trusted."""

    issuer: str
    audience: str
    jwks_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentoSettings:
    """Where the Momento API key is kept and which cache holds the topics."""

    api_key_param_name: str
    cache_name: str
    endpoint: str | None
    """A bare host name of the real service (needed by v2 keys), or ``http://host:port`` in plaintext."""


def load(read: Callable[[Env], S]) -> S:
    """Read settings with `read`.

    :raises SettingsError: naming every variable that is missing or malformed.
    """
    env = Env(eager=False)
    settings = read(env)
    try:
        env.seal()
    except EnvValidationError as error:
        raise SettingsError({name: _sentences(messages) for name, messages in _by_name(error).items()}) from None
    return settings


def _by_name(error: EnvValidationError) -> dict[str, object]:
    messages = error.error_messages
    return dict(messages) if isinstance(messages, dict) else {"environment": messages}


def _sentences(messages: object) -> list[str]:
    if isinstance(messages, list | tuple):
        return [str(message).rstrip(".") for message in messages]
    return [str(messages)]


def unless_empty(check: Callable[[str], None]) -> Callable[[str], None]:
    """Let an empty value pass: a ConfigMap has no other way to leave an optional setting out."""
    return lambda value: check(value) if value else None


def is_http_url(value: str) -> None:
    """Validate an absolute http(s) URL without user, query or fragment."""
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


def is_issuer(value: str) -> None:
    """Validate an issuer as id tokens name it: compared letter by letter, so a slash at the end would refuse all."""
    is_http_url(value)
    if value.endswith("/"):
        raise ValidationError("must not end with a slash: id tokens name their issuer without")


def is_origin(value: str) -> None:
    """Validate one origin in the form that browsers send: another one would be compared in vain."""
    sent = as_browsers_send(value)
    if sent is None:
        raise ValidationError(
            f"{value!r} must be an origin like https://app.example.com: scheme, host and perhaps a port, nothing else"
        )
    if sent != value:
        raise ValidationError(f"{value!r} must be written as browsers send it: {sent}")


def is_momento_endpoint(value: str) -> None:
    """Validate a bare host name, or an http:// URL with a port."""
    if "://" not in value:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", value):
            raise ValidationError("must be a host name like cell-1-us-east-1-1.prod.a.momentohq.com")
        return
    is_http_url(value)
    url = urlsplit(value)
    if url.scheme != "http" or url.port is None or url.path:
        raise ValidationError("must be a host name (TLS), or http://host:port (plaintext, for an emulator)")


def read_service(env: Env, *, default_grace_seconds: float = 25.0) -> ServiceSettings:
    """Read the settings that every service has."""
    stage_name = env.str("STAGE_NAME", validate=is_name)
    return ServiceSettings(
        service_name=env.str(
            "SERVICE_NAME",
            "notification-api",
            validate=is_name,
        ),
        stage_name=stage_name,
        log_level=env.str(
            "LOG_LEVEL",
            "INFO" if stage_name == PRODUCTION_STAGE else "DEBUG",
            validate=OneOf(LOG_LEVELS, error="must be one of {choices}"),
        ),
        host=env.str("HOST", "0.0.0.0", validate=is_visible),  # noqa: S104 — a pod is reached from outside it
        port=read_int(env, "PORT", 8080, **PORT_RANGE),
        ops_port=read_int(env, "OPS_PORT", 9090, **PORT_RANGE),
        shutdown_delay_seconds=read_float(env, "SHUTDOWN_DELAY_SECONDS", 0.0, most=300),
        shutdown_grace_seconds=read_float(env, "SHUTDOWN_GRACE_SECONDS", default_grace_seconds, least=1, most=43_200),
        otlp_endpoint=env.str("OTEL_EXPORTER_OTLP_ENDPOINT", None, validate=unless_empty(is_http_url)) or None,
        allowed_hosts=frozenset(env.list("ALLOWED_HOSTS", [], subcast=str.strip, validate=_all_hosts) or ()),
    )


def read_http(env: Env, *, default_max_body_bytes: int) -> HttpSettings:
    """Read the settings of a public HTTP API."""
    origins = env.list("ALLOWED_ORIGINS", [], subcast=str.strip, validate=_all_origins)
    return HttpSettings(
        allowed_origins=frozenset(origins or ()),
        max_body_bytes=read_int(env, "MAX_BODY_BYTES", default_max_body_bytes, least=1, most=400_000),
        request_timeout_seconds=read_float(env, "REQUEST_TIMEOUT_SECONDS", 15.0, least=0.1, most=300),
        cors_allowed_headers=frozenset(
            env.list("CORS_ALLOWED_HEADERS", [], subcast=_header_name, validate=_all_header_names) or ()
        ),
        memory_limit_bytes=read_memory_limit(env),
    )


def read_memory_limit(env: Env) -> int | None:
    """Read what the process may use, where that is not the limit of its container."""
    return read_optional_int(env, "MEMORY_LIMIT_BYTES", least=MIN_MEMORY_BYTES, most=MAX_MEMORY_BYTES)


def _header_name(value: str) -> str:
    return value.strip().lower()


def _all_header_names(values: list[str]) -> None:
    for value in values:
        if not re.fullmatch(r"[a-z0-9._-]{1,128}", value):  # no *: that would not cover authorization
            raise ValidationError(f"{value!r} must be the name of an HTTP header, like x-tenant")


def _all_hosts(values: list[str]) -> None:
    for value in values:
        if not re.fullmatch(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", value):
            raise ValidationError(f"{value!r} must be a Host header like localhost:8081, in small letters")


def _all_origins(values: list[str]) -> None:
    for value in values:
        is_origin(value)


def read_oidc(env: Env) -> OidcSettings:
    """Read whose id tokens are trusted."""
    return OidcSettings(
        issuer=env.str("OIDC_ISSUER", validate=is_issuer),
        audience=env.str("OIDC_AUDIENCE", validate=Regexp(r"[\x21-\x7e]+\Z", error="must be a client's id, no spaces")),
        jwks_url=env.str("OIDC_JWKS_URL", validate=is_http_url),
    )


def read_momento(env: Env) -> MomentoSettings:
    """Read where the Momento key and cache are."""
    return MomentoSettings(
        api_key_param_name=env.str(
            "MOMENTO_API_KEY_PARAM_NAME",
            validate=Regexp(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\Z", error="must be the name of an SSM parameter"),
        ),
        cache_name=env.str("MOMENTO_CACHE_NAME", validate=is_visible),
        endpoint=env.str("MOMENTO_ENDPOINT", None, validate=unless_empty(is_momento_endpoint)) or None,
    )
