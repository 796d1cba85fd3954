"""Settings of the ingest service."""

from dataclasses import dataclass

from environs import Env

from services.common.setting_checks import check_http_url
from services.common.setting_numbers import read_float
from services.common.settings import HttpSettings, OidcSettings, ServiceSettings, read_http, read_oidc, read_service

# SQS takes 1 MiB; quoting the body inside the message can double it.
DEFAULT_MAX_BODY_BYTES = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """What the ingest service needs."""

    service: ServiceSettings
    http: HttpSettings
    oidc: OidcSettings
    task_queue_url: str
    tasks_per_minute: float
    """Tasks a user may send a minute, for each replica by itself; 0 lifts the limit."""


def read_settings(env: Env) -> IngestSettings:
    """Read them from the environment."""
    return IngestSettings(
        service=read_service(env),
        http=read_http(env, default_max_body_bytes=DEFAULT_MAX_BODY_BYTES),
        oidc=read_oidc(env),
        task_queue_url=env.str("TASK_QUEUE_URL", validate=check_http_url),
        tasks_per_minute=read_float(env, "TASKS_PER_MINUTE", 600.0),
    )
