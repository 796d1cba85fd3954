"""Settings of the processor."""

from dataclasses import dataclass

from environs import Env, ValidationError
from marshmallow.validate import OneOf, Range, Regexp

from services.common.notification import Format
from services.common.settings import (
    MIN_MEMORY_BYTES,
    MomentoSettings,
    ServiceSettings,
    is_http_url,
    read_momento,
    read_service,
)

SQS_LONGEST_HOLD_SECONDS = 43_200
"""SQS hides a message for 12 hours at most, counted from its receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorSettings:
    """What the processor needs."""

    service: ServiceSettings
    momento: MomentoSettings
    task_queue_url: str
    dead_letter_queue_url: str
    handler: str
    """``module:function``."""
    handler_threads: int
    """Threads for handlers that are plain functions."""
    concurrency: int
    """Slots: tasks at once."""
    user_share: float
    """The share of the slots that one user may hold while others wait."""
    receive_wait_seconds: int
    visibility_timeout_seconds: int
    """How long a lease lasts; it is extended at a third of this."""
    max_task_seconds: float
    """The time limit of a handler."""
    max_attempts: int
    """Attempts after which a task is set aside; the queue's `maxReceiveCount` should be twice as many."""
    backoff_base_seconds: float
    backoff_cap_seconds: float
    notify_seconds: float
    """How long storing and publishing a notification are tried before the message is requeued. Meanwhile the task keeps
    its slot, unless the user is notified already, so that an outage of Momento slows the processor down instead of
    spending the tasks' deliveries."""
    notification_format: Format
    progress_per_second: float
    """Progress notifications of this replica; each counts against the account's topic quota, as does its delivery."""
    news_retention_seconds: float
    """How long the record stands; 0 switches it off."""
    memory_limit_bytes: int | None = None
    """What the process may use; None for the limit of its container."""


def read_settings(env: Env) -> ProcessorSettings:
    """Read them from the environment."""
    return ProcessorSettings(
        # Above the long poll, which is awaited, and the time that cancelled tasks get.
        service=read_service(env, default_grace_seconds=50.0),
        momento=read_momento(env),
        task_queue_url=env.str("TASK_QUEUE_URL", validate=is_http_url),
        dead_letter_queue_url=env.str("DEAD_LETTER_QUEUE_URL", validate=is_http_url),
        handler=env.str(
            "TASK_HANDLER",
            "services.processor.echo:handle",
            validate=Regexp(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z", error="must be module:function"),
        ),
        handler_threads=env.int("HANDLER_THREADS", 8, validate=Range(min=1, max=256)),
        concurrency=env.int("CONCURRENCY", 20, validate=Range(min=1, max=2_000)),
        user_share=env.float("USER_SHARE", 0.5, validate=Range(min=0, min_inclusive=False, max=1)),
        receive_wait_seconds=env.int("RECEIVE_WAIT_SECONDS", 20, validate=Range(min=1, max=20)),
        visibility_timeout_seconds=env.int("VISIBILITY_TIMEOUT_SECONDS", 30, validate=Range(min=3, max=3_600)),
        max_task_seconds=env.float("MAX_TASK_SECONDS", 900.0, validate=_task_seconds),
        max_attempts=env.int("MAX_ATTEMPTS", 5, validate=Range(min=1, max=100)),
        backoff_base_seconds=env.float("BACKOFF_BASE_SECONDS", 2.0, validate=Range(min=0, max=3_600)),
        backoff_cap_seconds=env.float(
            "BACKOFF_CAP_SECONDS", 900.0, validate=Range(min=0, max=SQS_LONGEST_HOLD_SECONDS)
        ),
        notify_seconds=env.float("NOTIFY_SECONDS", 300.0, validate=Range(min=1, max=3_600)),
        notification_format=Format(
            env.str("NOTIFICATION_FORMAT", "json", validate=OneOf(list(Format), error="must be json or text")) or "json"
        ),
        progress_per_second=env.float("PROGRESS_PER_SECOND", 2.0, validate=Range(min=0)),
        news_retention_seconds=env.float("NEWS_RETENTION_SECONDS", 86_400.0, validate=Range(min=0, max=86_400)),
        memory_limit_bytes=env.int("MEMORY_LIMIT_BYTES", None, validate=Range(min=MIN_MEMORY_BYTES)),
    )


def _task_seconds(value: float) -> None:
    longest = SQS_LONGEST_HOLD_SECONDS - 3_600
    if not 0 < value <= longest:
        raise ValidationError(f"must be above 0 and at most {longest}, since SQS hides a message for 12 hours at most")
