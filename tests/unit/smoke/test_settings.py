"""The smoke test's settings and exit status."""

from pathlib import Path

import pytest

from k8s.smoke.__main__ import main
from k8s.smoke.settings import read_settings
from services.common.settings import SettingsError, load

URLS = {"TOKEN_URL": "http://dev-token", "TASK_URL": "http://dev-ingest"}


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name in ("TOKEN_URL", "TASK_URL", "USER_FOLDER", "USER_POOL_ID", "OIDC_AUDIENCE", "MOMENTO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_without_a_user_only_the_doors_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, **URLS)
    settings = load(read_settings)
    assert settings.user_pool is None
    assert settings.momento_endpoint is None


def test_a_user_comes_from_the_files_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "email").write_text("someone@example.com\n")
    (tmp_path / "password").write_text("with space \n")
    told(monkeypatch, **URLS, USER_FOLDER=str(tmp_path), USER_POOL_ID="pool_1", OIDC_AUDIENCE="client")
    pool = load(read_settings).user_pool
    assert pool is not None
    assert (pool.user.email, pool.user.password) == ("someone@example.com", "with space ")
    assert "with space" not in repr(pool)


def test_every_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "email").write_text("someone@example.com")
    (tmp_path / "password").write_text("secret")
    told(monkeypatch, USER_FOLDER=str(tmp_path))
    with pytest.raises(SettingsError) as refused:
        load(read_settings)
    assert refused.value.problems.keys() == {"TOKEN_URL", "TASK_URL", "USER_POOL_ID", "OIDC_AUDIENCE"}


def test_a_secret_without_a_password_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "email").write_text("someone@example.com")
    told(monkeypatch, **URLS, USER_FOLDER=str(tmp_path), USER_POOL_ID="pool_1", OIDC_AUDIENCE="client")
    assert main() == 2
    assert str(tmp_path / "password") in capsys.readouterr().out


def test_a_service_that_nobody_answers_for_fails_the_test(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(monkeypatch, TOKEN_URL="http://127.0.0.1:9", TASK_URL="http://127.0.0.1:9")
    assert main() == 1
    assert "FAILED: " in capsys.readouterr().out
