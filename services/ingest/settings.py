"""Settings of the ingest service."""

from dataclasses import dataclass

from environs import Env, ValidationError

from notification_api.handlers import MAX_TYPES
from services.common.messages.task_message import is_type_name
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
    """URL of the task queue."""
    tasks_per_minute: float
    """Tasks per user and minute, on each replica; 0 for no limit."""
    task_types: tuple[str, ...] = ()
    """The task types that are accepted; empty for all. A body without a type has the type `default`."""


def read_settings(env: Env) -> IngestSettings:
    """Read the settings from the environment."""
    return IngestSettings(
        service=read_service(env),
        http=read_http(env, default_max_body_bytes=DEFAULT_MAX_BODY_BYTES),
        oidc=read_oidc(env),
        task_queue_url=env.str("TASK_QUEUE_URL", validate=check_http_url),
        tasks_per_minute=read_float(env, "TASKS_PER_MINUTE", 600.0),
        task_types=tuple(
            dict.fromkeys(env.list("TASK_TYPES", [], subcast=str.strip, validate=_check_task_types) or ())
        ),
    )


def _check_task_types(names: list[str]) -> None:
    if len(names) > MAX_TYPES:
        raise ValidationError(f"must have at most {MAX_TYPES} names, not {len(names)}")
    for name in names:
        if not is_type_name(name):
            raise ValidationError(
                f"{name[:80]!r} must be the name of a task type: 1 to 64 letters, digits, dots, hyphens and"
                " underscores, starting with a letter or a digit"
            )
