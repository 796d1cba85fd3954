"""Settings of the smoke test, from the environment that the chart's test pod has."""

from dataclasses import dataclass
from pathlib import Path

from environs import Env

from notification_api.client import Credentials, StageConfig
from notification_api.task import DEFAULT_TYPE
from services.common.setting_checks import check_http_url, check_momento_endpoint, check_visible_ascii, optional
from services.common.setting_numbers import read_float


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeSettings:
    """Without `user` only reachability is tested."""

    stage: StageConfig
    """Its API is at the token service. There is no Ingress that routes `POST /task` to the ingest service."""
    ingest_url: str
    timeout_seconds: float
    user: Credentials | None
    momento_endpoint: str | None
    """The address of an emulator as this pod sees it. Real disposable tokens carry Momento's address."""
    task_type: str = DEFAULT_TYPE
    """The type of the task to submit."""
    has_history: bool = True
    """Whether the stage stores notifications. Without them it knows no statuses."""


def read_settings(env: Env) -> SmokeSettings:
    """Read them from the environment."""
    folder = env.str("USER_FOLDER", "")
    return SmokeSettings(
        stage=StageConfig(
            api_url=env.str("TOKEN_URL", validate=check_http_url),
            user_pool_id=env.str("USER_POOL_ID", validate=check_visible_ascii) if folder else "",
            user_pool_client_id=env.str("OIDC_AUDIENCE", validate=check_visible_ascii) if folder else "",
            cognito_endpoint=env.str("AWS_ENDPOINT_URL", None, validate=optional(check_http_url)) or None,
        ),
        ingest_url=env.str("TASK_URL", validate=check_http_url),
        timeout_seconds=read_float(env, "TIMEOUT_SECONDS", 60.0, least=1, most=3_600),
        user=_read_user(Path(folder)) if folder else None,
        task_type=env.str("TASK_TYPE", "") or DEFAULT_TYPE,
        has_history=read_float(env, "HISTORY_RETENTION_SECONDS", 86_400.0, most=86_400) > 0,
        momento_endpoint=env.str("MOMENTO_ENDPOINT", None, validate=optional(check_momento_endpoint)) or None,
    )


def _read_user(folder: Path) -> Credentials:
    """Read the files of a mounted Secret."""
    return Credentials(email=_read(folder / "email"), password=_read(folder / "password"))


def _read(file: Path) -> str:
    # `echo` adds a newline to a value that is written to a file.
    return file.read_text(encoding="utf-8").rstrip("\n")
