"""Settings of the processor."""

from dataclasses import dataclass

from environs import Env
from marshmallow.validate import OneOf, Regexp

from services.common.messages.notification import Format
from services.common.setting_checks import check_http_url
from services.common.setting_numbers import read_float, read_int
from services.common.settings import MomentoSettings, ServiceSettings, read_memory_limit, read_momento, read_service

SQS_MAX_LEASE_SECONDS = 43_200
"""SQS hides a message for at most 12 hours from its receipt."""
LONGEST_TASK_SECONDS = SQS_MAX_LEASE_SECONDS - 3_600
"""The rest is for storing and publishing the result."""
DEFAULT_ECHO_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorSettings:
    """The settings of one replica."""

    service: ServiceSettings
    momento: MomentoSettings
    task_queue_url: str
    """URL of the task queue."""
    dead_letter_queue_url: str
    """URL of its dead-letter queue."""
    handler: str
    """``module:name`` of a function or of a `Handlers`."""
    handler_threads: int
    """Threads for handlers that are plain functions."""
    concurrency: int
    """Slots: tasks that run at once."""
    user_share: float
    """The share of the slots that one user may have while others wait."""
    receive_wait_seconds: int
    """How long a receive waits for messages (long poll)."""
    visibility_timeout_seconds: int
    """How long a lease lasts; it is extended after a third of this."""
    max_task_seconds: float
    """The time limit of a handler."""
    max_attempts: int
    """Attempts after which a task is dead-lettered; the queue's `maxReceiveCount` must be higher, best twice."""
    backoff_base_seconds: float
    """The longest pause after the first failed attempt; it doubles with each further one, up to the cap."""
    backoff_cap_seconds: float
    """The longest pause between two attempts."""
    notify_seconds: float
    """How long storing and publishing a notification are tried before the message is requeued. Meanwhile the task keeps
    its slot, unless the user is notified already, so that an outage of Momento slows the processor down instead of
    using up the tasks' deliveries."""
    notification_format: Format
    """`text` publishes the message alone, without the task's id and status."""
    progress_per_second: float
    """Progress notifications of this replica; each counts against the account's topic quota when it is published and
    again when it is received."""
    status_writes_per_second: float
    """Status snapshots of running tasks that this replica writes; each is a cache operation."""
    history_retention_seconds: float
    """How long notifications are kept in the history; 0 switches it off."""
    echo_seconds: float = DEFAULT_ECHO_SECONDS
    """How long the built-in handler waits. Read here so that a mistake is reported at start, with all others."""
    memory_limit_bytes: int | None = None
    """Memory that the process may use; without it, the limit of its container."""


def read_settings(env: Env) -> ProcessorSettings:
    """Read them from the environment."""
    return ProcessorSettings(
        # Above the long poll, which is awaited, and the time that cancelled tasks get.
        service=read_service(env, default_grace_seconds=50.0),
        momento=read_momento(env),
        task_queue_url=env.str("TASK_QUEUE_URL", validate=check_http_url),
        dead_letter_queue_url=env.str("DEAD_LETTER_QUEUE_URL", validate=check_http_url),
        handler=env.str(
            "TASK_HANDLER",
            "services.processor.echo:handlers",
            validate=Regexp(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z", error="must be module:function"),
        ),
        handler_threads=read_int(env, "HANDLER_THREADS", 8, least=1, most=256),
        concurrency=read_int(env, "CONCURRENCY", 20, least=1, most=2_000),
        user_share=read_float(env, "USER_SHARE", 0.5, most=1, above_least=True),
        receive_wait_seconds=read_int(env, "RECEIVE_WAIT_SECONDS", 20, least=1, most=20),
        visibility_timeout_seconds=read_int(env, "VISIBILITY_TIMEOUT_SECONDS", 30, least=3, most=3_600),
        max_task_seconds=read_float(env, "MAX_TASK_SECONDS", 900.0, most=LONGEST_TASK_SECONDS, above_least=True),
        max_attempts=read_int(env, "MAX_ATTEMPTS", 5, least=1, most=100),
        backoff_base_seconds=read_float(env, "BACKOFF_BASE_SECONDS", 4.0, most=3_600),
        backoff_cap_seconds=read_float(env, "BACKOFF_CAP_SECONDS", 900.0, most=SQS_MAX_LEASE_SECONDS),
        notify_seconds=read_float(env, "NOTIFY_SECONDS", 300.0, least=1, most=3_600),
        notification_format=Format(
            env.str("NOTIFICATION_FORMAT", "json", validate=OneOf(list(Format), error="must be json or text")) or "json"
        ),
        progress_per_second=read_float(env, "PROGRESS_PER_SECOND", 2.0),
        status_writes_per_second=read_float(env, "STATUS_WRITES_PER_SECOND", 2.0),
        history_retention_seconds=read_float(env, "HISTORY_RETENTION_SECONDS", 86_400.0, most=86_400),
        echo_seconds=read_echo_seconds(env),
        memory_limit_bytes=read_memory_limit(env),
    )


def read_echo_seconds(env: Env) -> float:
    """Read how long the built-in handler waits."""
    return read_float(env, "ECHO_SECONDS", DEFAULT_ECHO_SECONDS, most=LONGEST_TASK_SECONDS)
