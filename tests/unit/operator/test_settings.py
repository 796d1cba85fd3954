"""The operator's settings: required ones, defaults, and all mistakes reported together."""

import pytest

from k8s.operator.settings import read_settings
from services.common.settings import SettingsError, load

_KNOWN = (
    "CLUSTER_NAME", "WATCH_NAMESPACES", "MOMENTO_API_KEY_PARAM_NAME", "MOMENTO_ENDPOINT", "LIVENESS_PORT", "OPS_PORT",
    "RESYNC_SECONDS", "ACTIVE_POLL_SECONDS", "IDLE_POLL_SECONDS", "MAX_CONCURRENT_RECONCILES",
    "LOG_LEVEL", "SERVICE_NAME", "HOST",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _KNOWN:
        monkeypatch.delenv(name, raising=False)


def test_only_the_cluster_name_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_NAME", "staging")
    settings = load(read_settings)
    assert settings.cluster_name == "staging"
    assert settings.namespaces == ()
    assert settings.momento_api_key_param_name is None


def test_an_empty_setting_means_that_it_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WATCH_NAMESPACES", "MOMENTO_API_KEY_PARAM_NAME", "MOMENTO_ENDPOINT"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("CLUSTER_NAME", "staging")
    settings = load(read_settings)
    assert (settings.namespaces, settings.momento_api_key_param_name, settings.momento_endpoint) == ((), None, None)


def test_namespaces_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_NAME", "staging")
    monkeypatch.setenv("WATCH_NAMESPACES", "b, a,b")
    assert load(read_settings).namespaces == ("a", "b")


def test_every_mistake_is_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "WATCH_NAMESPACES": "Not_A_Name",
        "MOMENTO_API_KEY_PARAM_NAME": "a b",
        "MOMENTO_ENDPOINT": "https://x",
        "LIVENESS_PORT": "0",
        "RESYNC_SECONDS": "0",
        "MAX_CONCURRENT_RECONCILES": "many",
        "LOG_LEVEL": "LOUD",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load(read_settings)
    assert set(raised.value.problems) == {"CLUSTER_NAME", *wrong}
