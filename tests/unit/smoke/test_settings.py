"""The smoke test's settings and exit status."""

from pathlib import Path

import pytest

from k8s.smoke.__main__ import main
from k8s.smoke.settings import read_settings
from services.common.settings import SettingsError, load

URLS = {"TOKEN_URL": "http://dev-token", "TASK_URL": "http://dev-ingest"}


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name in (
        "TOKEN_URL",
        "TASK_URL",
        "USER_FOLDER",
        "USER_POOL_ID",
        "OIDC_AUDIENCE",
        "MOMENTO_ENDPOINT",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_without_a_user_only_reachability_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **URLS)
    settings = load(read_settings)
    assert settings.user is None
    assert settings.momento_endpoint is None


def test_a_user_comes_from_the_files_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "email").write_text("someone@example.com\n")
    (tmp_path / "password").write_text("with space \n")
    set_environment(monkeypatch, **URLS, USER_FOLDER=str(tmp_path), USER_POOL_ID="pool_1", OIDC_AUDIENCE="client")
    settings = load(read_settings)
    assert settings.user is not None
    assert (settings.stage.user_pool_id, settings.stage.user_pool_client_id) == ("pool_1", "client")
    assert (settings.user.email, settings.user.password) == ("someone@example.com", "with space ")
    assert "with space" not in repr(settings)


def test_every_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "email").write_text("someone@example.com")
    (tmp_path / "password").write_text("secret")
    set_environment(monkeypatch, USER_FOLDER=str(tmp_path))
    with pytest.raises(SettingsError) as refused:
        load(read_settings)
    assert refused.value.problems.keys() == {"TOKEN_URL", "TASK_URL", "USER_POOL_ID", "OIDC_AUDIENCE"}


def test_a_secret_without_a_password_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "email").write_text("someone@example.com")
    set_environment(monkeypatch, **URLS, USER_FOLDER=str(tmp_path), USER_POOL_ID="pool_1", OIDC_AUDIENCE="client")
    assert main() == 2
    assert str(tmp_path / "password") in capsys.readouterr().out


def test_an_unreachable_service_fails_the_test(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_environment(monkeypatch, TOKEN_URL="http://127.0.0.1:9", TASK_URL="http://127.0.0.1:9")
    assert main() == 1
    assert "FAILED: " in capsys.readouterr().out
