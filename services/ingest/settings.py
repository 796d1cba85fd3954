"""Settings of the ingest service."""

from dataclasses import dataclass

from environs import Env

from services.common.setting_checks import check_http_url
from services.common.setting_numbers import read_float
from services.common.settings import HttpSettings, OidcSettings, ServiceSettings, read_http, read_oidc, read_service

DEFAULT_MAX_BODY_BYTES = 262_144
"""SQS accepts 1 MiB, and quoting the body in the message can double it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """The settings of the ingest service."""

    service: ServiceSettings
    http: HttpSettings
    oidc: OidcSettings
    task_queue_url: str
    tasks_per_minute: float
    """Tasks per user and minute, on each replica; 0 for no limit."""


def read_settings(env: Env) -> IngestSettings:
    """Read the settings from the environment."""
    return IngestSettings(
        service=read_service(env),
        http=read_http(env, default_max_body_bytes=DEFAULT_MAX_BODY_BYTES),
        oidc=read_oidc(env),
        task_queue_url=env.str("TASK_QUEUE_URL", validate=check_http_url),
        tasks_per_minute=read_float(env, "TASKS_PER_MINUTE", 600.0),
    )
