"""Settings of the token service."""

from dataclasses import dataclass

from environs import Env

from services.common.setting_checks import check_http_url, optional
from services.common.setting_numbers import read_float, read_int
from services.common.settings import (
    HttpSettings,
    MomentoSettings,
    OidcSettings,
    ServiceSettings,
    read_http,
    read_momento,
    read_oidc,
    read_service,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """The settings of the token service."""

    service: ServiceSettings
    http: HttpSettings
    oidc: OidcSettings
    momento: MomentoSettings
    momento_web_endpoint: str | None
    """Momento's endpoint for browsers, if it is not the public service."""
    token_valid_seconds: int
    """How long a disposable token is valid."""
    vending_per_second: float
    """Momento's quota for the whole account (5 per second by default)."""
    vending_replicas: int
    """Replicas of this service that share the quotas. One more during a rollout is harmless, since calls that Momento
    refuses are queued again."""
    vending_wait_seconds: float
    """The longest wait of a request. Beyond that it gets 503 with Retry-After."""
    history_retention_seconds: float
    """How long notifications are retained; 0 switches the history off."""
    history_operations_per_second: float
    """Cache operations for reading histories, on all replicas together. Momento's quota is 100 per second by default;
    the processor's writes need the rest."""
    history_reads_per_minute: float
    """Reads of the history per user, on each replica."""
    task_operations_per_second: float
    """Cache operations for reading and cancelling tasks, their results, and read markers, on all replicas together."""
    token_lookups_per_second: float
    """Lookups of users' tokens in the cache, on all replicas together. Beyond that tokens are vended."""


def read_settings(env: Env) -> TokenSettings:
    """Read the settings from the environment."""
    return TokenSettings(
        service=read_service(env),
        http=read_http(env, default_max_body_bytes=1_024),
        oidc=read_oidc(env),
        momento=read_momento(env),
        momento_web_endpoint=env.str("MOMENTO_WEB_ENDPOINT", None, validate=optional(check_http_url)) or None,
        # Momento accepts up to 25 hours, but a leaked token is valid as long.
        token_valid_seconds=read_int(env, "TOKEN_VALID_SECONDS", 1_800, least=2, most=86_400),
        vending_per_second=read_float(env, "VENDING_PER_SECOND", 5.0, least=0.01),
        vending_replicas=read_int(env, "VENDING_REPLICAS", 1, least=1),
        vending_wait_seconds=read_float(env, "VENDING_WAIT_SECONDS", 10.0),
        history_retention_seconds=read_float(env, "HISTORY_RETENTION_SECONDS", 86_400.0, most=86_400),
        history_operations_per_second=read_float(env, "HISTORY_OPERATIONS_PER_SECOND", 40.0, least=1),
        history_reads_per_minute=read_float(env, "HISTORY_READS_PER_MINUTE", 30.0, least=1),
        task_operations_per_second=read_float(env, "TASK_OPERATIONS_PER_SECOND", 20.0, least=1),
        token_lookups_per_second=read_float(env, "TOKEN_LOOKUPS_PER_SECOND", 10.0, least=1),
    )
