"""Settings: read from the environment once, at start. An error names every wrong variable.

Each service composes its settings from the groups below in its own ``settings.py``::

    def read_settings(env: Env) -> TokenSettings:
        return TokenSettings(service=read_service(env), oidc=read_oidc(env))

    settings = load(read_settings)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from environs import Env, EnvValidationError
from marshmallow.validate import OneOf, Regexp

from services.common.setting_checks import (
    check_header_names,
    check_hosts,
    check_http_url,
    check_issuer,
    check_momento_endpoint,
    check_name,
    check_origins,
    check_visible_ascii,
    optional,
)
from services.common.setting_numbers import read_float, read_int, read_optional_int

S = TypeVar("S")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PRODUCTION_STAGE = "prod"
MIN_MEMORY_BYTES = 128 * 1024 * 1024
"""A service uses nearly 100 MiB before its first request."""
MAX_MEMORY_BYTES = 1024**4

PORT_RANGE = {"least": 1, "most": 65_535}


class SettingsError(Exception):
    """Settings are missing or malformed. ``problems`` maps each variable to what is wrong with it."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        self.problems = problems
        lines = [f"  {name}: {'; '.join(problems[name])}" for name in sorted(problems)]
        super().__init__("The settings cannot be used. Correct these environment variables:\n" + "\n".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The settings of every service."""

    service_name: str
    """First part of the name of every resource of the stage."""
    stage_name: str
    """Name of the stage, in logs, metrics and traces."""
    log_level: str
    """Without it: INFO in the stage `prod`, else DEBUG."""
    host: str
    """The address that both ports listen on."""
    port: int
    """The port of the API."""
    ops_port: int
    """The port of /livez, /readyz and /metrics."""
    shutdown_delay_seconds: float
    """How long /readyz fails before the listener closes, so that load balancers stop sending requests."""
    shutdown_grace_seconds: float
    """How long the stop may take after that. Must be below the pod's termination grace period."""
    otlp_endpoint: str | None = None
    """Where traces are sent, by OTLP over gRPC; without it tracing is off."""
    allowed_hosts: frozenset[str] = frozenset()
    """The values of the Host header that both ports accept; empty accepts all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The settings of a public HTTP API."""

    allowed_origins: frozenset[str]
    """Origins whose pages may call the API, separated by commas."""
    max_body_bytes: int
    """Larger bodies are answered 413."""
    request_timeout_seconds: float
    """Requests that take longer are answered 503; two thirds of it are for receiving the body."""
    cors_allowed_headers: frozenset[str] = frozenset()
    """Request headers that pages may send besides the built-in ones; lower case."""
    memory_limit_bytes: int | None = None
    """Memory that the process may use; without it, the limit of its container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Which id tokens are accepted."""

    issuer: str
    """The `iss` of accepted tokens."""
    audience: str
    """The `aud` of accepted tokens: the id of the app client."""
    jwks_url: str
    """Where the issuer publishes its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentoSettings:
    """Where the Momento API key is stored, and which cache is used."""

    api_key_param_name: str
    """Name of the SSM parameter with the Momento API key."""
    cache_name: str
    """Name of the Momento cache with the notification history."""
    endpoint: str | None
    """A host name of the real service (required by v2 keys), or ``http://host:port`` for plaintext."""


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


def read_service(env: Env, *, default_grace_seconds: float = 25.0) -> ServiceSettings:
    """Read the settings of every service."""
    stage_name = env.str("STAGE_NAME", validate=check_name)
    return ServiceSettings(
        service_name=env.str(
            "SERVICE_NAME",
            "notification-api",
            validate=check_name,
        ),
        stage_name=stage_name,
        log_level=env.str(
            "LOG_LEVEL",
            "INFO" if stage_name == PRODUCTION_STAGE else "DEBUG",
            validate=OneOf(LOG_LEVELS, error="must be one of {choices}"),
        ),
        host=env.str("HOST", "0.0.0.0", validate=check_visible_ascii),  # noqa: S104 — a pod is reached from outside
        port=read_int(env, "PORT", 8080, **PORT_RANGE),
        ops_port=read_int(env, "OPS_PORT", 9090, **PORT_RANGE),
        shutdown_delay_seconds=read_float(env, "SHUTDOWN_DELAY_SECONDS", 0.0, most=300),
        shutdown_grace_seconds=read_float(env, "SHUTDOWN_GRACE_SECONDS", default_grace_seconds, least=1, most=43_200),
        otlp_endpoint=env.str("OTEL_EXPORTER_OTLP_ENDPOINT", None, validate=optional(check_http_url)) or None,
        allowed_hosts=frozenset(env.list("ALLOWED_HOSTS", [], subcast=str.strip, validate=check_hosts) or ()),
    )


def read_http(env: Env, *, default_max_body_bytes: int) -> HttpSettings:
    """Read the settings of a public HTTP API."""
    origins = env.list("ALLOWED_ORIGINS", [], subcast=str.strip, validate=check_origins)
    return HttpSettings(
        allowed_origins=frozenset(origins or ()),
        max_body_bytes=read_int(env, "MAX_BODY_BYTES", default_max_body_bytes, least=1, most=400_000),
        request_timeout_seconds=read_float(env, "REQUEST_TIMEOUT_SECONDS", 15.0, least=0.1, most=300),
        cors_allowed_headers=frozenset(
            env.list("CORS_ALLOWED_HEADERS", [], subcast=_lower_case, validate=check_header_names) or ()
        ),
        memory_limit_bytes=read_memory_limit(env),
    )


def read_memory_limit(env: Env) -> int | None:
    """Read the memory limit of the process; None where it is the container's."""
    return read_optional_int(env, "MEMORY_LIMIT_BYTES", least=MIN_MEMORY_BYTES, most=MAX_MEMORY_BYTES)


def _lower_case(value: str) -> str:
    return value.strip().lower()


def read_oidc(env: Env) -> OidcSettings:
    """Read which id tokens are accepted."""
    return OidcSettings(
        issuer=env.str("OIDC_ISSUER", validate=check_issuer),
        audience=env.str(
            "OIDC_AUDIENCE", validate=Regexp(r"[\x21-\x7e]+\Z", error="must be an app client id, without spaces")
        ),
        jwks_url=env.str("OIDC_JWKS_URL", validate=check_http_url),
    )


def read_momento(env: Env) -> MomentoSettings:
    """Read where the Momento API key and cache are."""
    return MomentoSettings(
        api_key_param_name=env.str(
            "MOMENTO_API_KEY_PARAM_NAME",
            validate=Regexp(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\Z", error="must be the name of an SSM parameter"),
        ),
        cache_name=env.str("MOMENTO_CACHE_NAME", validate=check_visible_ascii),
        endpoint=env.str("MOMENTO_ENDPOINT", None, validate=optional(check_momento_endpoint)) or None,
    )
