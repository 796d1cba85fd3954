"""Settings of the smoke test, from the environment that the chart's test pod has."""

from dataclasses import dataclass, field
from pathlib import Path

from environs import Env

from services.common.setting_checks import check_http_url, check_momento_endpoint, check_visible_ascii, optional
from services.common.setting_numbers import read_float


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of the stage's pool, from the files of a mounted Secret."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPool:
    """Where the user signs in, and who."""

    pool_id: str
    client_id: str
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeSettings:
    """Without `user_pool` only reachability is tested."""

    token_url: str
    task_url: str
    timeout_seconds: float
    user_pool: UserPool | None
    momento_endpoint: str | None
    """Where an emulator is for this pod; the real service is named by the disposable token itself."""


def read_settings(env: Env) -> SmokeSettings:
    """Read them from the environment."""
    folder = env.str("USER_FOLDER", "")
    return SmokeSettings(
        token_url=env.str("TOKEN_URL", validate=check_http_url),
        task_url=env.str("TASK_URL", validate=check_http_url),
        timeout_seconds=read_float(env, "TIMEOUT_SECONDS", 60.0, least=1, most=3_600),
        user_pool=_user_pool(env, Path(folder)) if folder else None,
        momento_endpoint=env.str("MOMENTO_ENDPOINT", None, validate=optional(check_momento_endpoint)) or None,
    )


def _user_pool(env: Env, folder: Path) -> UserPool:
    return UserPool(
        pool_id=env.str("USER_POOL_ID", validate=check_visible_ascii),
        client_id=env.str("OIDC_AUDIENCE", validate=check_visible_ascii),
        user=User(email=_read(folder / "email"), password=_read(folder / "password")),
    )


def _read(file: Path) -> str:
    # A newline at the end is what `echo` adds to a value that is piped into a file.
    return file.read_text(encoding="utf-8").rstrip("\n")
