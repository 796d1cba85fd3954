"""Settings: which values are accepted or refused, and all mistakes are reported together."""

import subprocess
import sys
from pathlib import Path

import pytest
from environs import Env

from services.common.settings import (
    HttpSettings,
    MomentoSettings,
    OidcSettings,
    ServiceSettings,
    SettingsError,
    load,
    read_http,
    read_momento,
    read_oidc,
    read_service,
)
from services.ingest.settings import IngestSettings
from services.ingest.settings import read_settings as read_ingest
from services.token.settings import TokenSettings
from services.token.settings import read_settings as read_token

ROOT = Path(__file__).resolve().parents[4]
COMPLETE = {
    "STAGE_NAME": "dev",
    "OIDC_ISSUER": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc",
    "OIDC_AUDIENCE": "client",
    "OIDC_JWKS_URL": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc/.well-known/jwks.json",
    "TASK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/notification-api-dev-tasks",
    "MOMENTO_API_KEY_PARAM_NAME": "/notification-api/dev/momento-api-key",
    "MOMENTO_CACHE_NAME": "notification-api-dev",
}
OURS = (
    *COMPLETE,
    *("SERVICE_NAME", "LOG_LEVEL", "HOST", "PORT", "OPS_PORT", "SHUTDOWN_DELAY_SECONDS", "SHUTDOWN_GRACE_SECONDS"),
    *("ALLOWED_ORIGINS", "MAX_BODY_BYTES", "REQUEST_TIMEOUT_SECONDS", "TASKS_PER_MINUTE", "HISTORY_RETENTION_SECONDS"),
    *("CORS_ALLOWED_HEADERS", "MEMORY_LIMIT_BYTES", "TASK_TYPES"),
    *("MOMENTO_ENDPOINT", "MOMENTO_WEB_ENDPOINT", "TOKEN_VALID_SECONDS"),
    *("VENDING_PER_SECOND", "VENDING_REPLICAS", "VENDING_WAIT_SECONDS"),
    *("HISTORY_OPERATIONS_PER_SECOND", "HISTORY_READS_PER_MINUTE", "TOKEN_LOOKUPS_PER_SECOND"),
    "TASK_OPERATIONS_PER_SECOND",
)


@pytest.fixture(autouse=True)
def _complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """All required settings, and no variables of the shell that runs the tests."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def problems_of(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> dict[str, list[str]]:
    """What is wrong with `name` being `value`, for the two services together."""
    monkeypatch.setenv(name, value)
    problems: dict[str, list[str]] = {}
    for read in (read_token, read_ingest):
        try:
            load(read)
        except SettingsError as error:
            problems |= error.problems
    return problems


def test_the_required_settings_give_the_documented_defaults() -> None:
    settings = load(read_token)
    assert settings.service == ServiceSettings(
        service_name="notification-api",
        stage_name="dev",
        log_level="DEBUG",
        host="0.0.0.0",
        port=8080,
        ops_port=9090,
        shutdown_delay_seconds=0.0,
        shutdown_grace_seconds=25.0,
    )
    assert settings.http == HttpSettings(
        allowed_origins=frozenset(), max_body_bytes=1_024, request_timeout_seconds=15.0
    )
    assert settings.oidc == OidcSettings(
        issuer=COMPLETE["OIDC_ISSUER"], audience="client", jwks_url=COMPLETE["OIDC_JWKS_URL"]
    )
    assert settings.momento == MomentoSettings(
        api_key_param_name=COMPLETE["MOMENTO_API_KEY_PARAM_NAME"], cache_name="notification-api-dev", endpoint=None
    )


def test_the_token_service_has_momentos_quota_and_half_an_hour() -> None:
    settings = load(read_token)
    assert isinstance(settings, TokenSettings)
    assert settings.momento_web_endpoint is None
    assert settings.token_valid_seconds == 1_800
    assert (settings.vending_per_second, settings.vending_replicas, settings.vending_wait_seconds) == (5.0, 1, 10.0)
    assert settings.history_retention_seconds == 86_400.0
    assert (settings.history_operations_per_second, settings.history_reads_per_minute) == (40.0, 30.0)
    assert settings.token_lookups_per_second == 10.0
    assert settings.task_operations_per_second == 20.0


def test_the_ingest_service_accepts_256_kib_and_600_tasks_a_minute() -> None:
    settings = load(read_ingest)
    assert isinstance(settings, IngestSettings)
    assert settings.http.max_body_bytes == 262_144
    assert settings.tasks_per_minute == 600.0
    assert settings.task_queue_url == COMPLETE["TASK_QUEUE_URL"]


@pytest.mark.parametrize(
    ("stage", "given", "level"),
    [
        ("prod", None, "INFO"),
        ("dev", None, "DEBUG"),
        ("prod2", None, "DEBUG"),
        ("prod", "DEBUG", "DEBUG"),
        ("dev", "ERROR", "ERROR"),
    ],
)
def test_production_logs_less_unless_configured(
    monkeypatch: pytest.MonkeyPatch, stage: str, given: str | None, level: str
) -> None:
    monkeypatch.setenv("STAGE_NAME", stage)
    if given:
        monkeypatch.setenv("LOG_LEVEL", given)
    assert load(read_service).log_level == level


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", set()),
        ("https://app.example.com", {"https://app.example.com"}),
        ("https://a.example, http://localhost:8080", {"https://a.example", "http://localhost:8080"}),
        ("http://[::1]:8080", {"http://[::1]:8080"}),
    ],
)
def test_allowed_origins_are_a_list(monkeypatch: pytest.MonkeyPatch, given: str, origins: set[str]) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", given)
    assert load(lambda env: read_http(env, default_max_body_bytes=1)).allowed_origins == origins


def test_allowed_hosts_are_a_list_and_all_hosts_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(read_ingest).service.allowed_hosts == frozenset()
    monkeypatch.setenv("ALLOWED_HOSTS", "localhost:8081, 127.0.0.1:8081,[::1]:8081,api.apps.svc")
    assert load(read_ingest).service.allowed_hosts == {"localhost:8081", "127.0.0.1:8081", "[::1]:8081", "api.apps.svc"}


@pytest.mark.parametrize("name", ["MOMENTO_ENDPOINT", "MOMENTO_WEB_ENDPOINT"])
def test_an_empty_optional_setting_is_one_that_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    settings = load(read_token)
    assert settings.momento.endpoint is None
    assert settings.momento_web_endpoint is None


@pytest.mark.parametrize(
    "endpoint", ["cell-1-us-east-1-1.prod.a.momentohq.com", "http://127.0.0.1:8084", "http://momento:8084"]
)
def test_a_momento_endpoint_is_a_host_or_plaintext_with_a_port(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("MOMENTO_ENDPOINT", endpoint)
    assert load(read_momento).endpoint == endpoint


def test_header_names_that_pages_may_send_are_read_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ALLOWED_HEADERS", "X-Tenant, x-session-id,X-Tenant")
    assert load(read_ingest).http.cors_allowed_headers == {"x-tenant", "x-session-id"}


def test_all_task_types_are_accepted_unless_some_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(read_ingest).task_types == ()
    monkeypatch.setenv("TASK_TYPES", "")
    assert load(read_ingest).task_types == ()
    monkeypatch.setenv("TASK_TYPES", "report, export_2,report,v1.default-x")
    assert load(read_ingest).task_types == ("report", "export_2", "v1.default-x")


def test_a_configured_memory_limit_overrides_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(read_ingest).http.memory_limit_bytes is None
    monkeypatch.setenv("MEMORY_LIMIT_BYTES", "268435456")
    assert load(read_ingest).http.memory_limit_bytes == 268_435_456


REFUSED = [
    ("STAGE_NAME", ["", "a b", "dev/x", "-dev", "dev\n"]),
    ("SERVICE_NAME", ["", "x y"]),
    ("LOG_LEVEL", ["debug", "LOUD", ""]),
    ("HOST", [""]),
    ("PORT", ["0", "65536", "http", "", "-1", "80.5"]),
    ("OPS_PORT", ["0", "x"]),
    ("SHUTDOWN_DELAY_SECONDS", ["-1", "301", "nan", "soon"]),
    ("SHUTDOWN_GRACE_SECONDS", ["0", "inf"]),
    ("ALLOWED_ORIGINS", ["*", "example.com", "https://a.example/", "https://a.example,", "https://A.example", "null"]),
    ("ALLOWED_ORIGINS", ["https://*.example.com", "https://a.example:443", "http://127.1", "http://[0::1]"]),
    ("ALLOWED_HOSTS", ["*", "http://localhost", "Localhost", "localhost:", "localhost,", "a b", "localhost/", "::1"]),
    ("CORS_ALLOWED_HEADERS", ["*, x", "x tenant", "x-tenant,", "x:y", "größe", "a\nb"]),
    ("MEMORY_LIMIT_BYTES", ["0", "134217727", "256Mi", "-1"]),
    ("MAX_BODY_BYTES", ["0", "400001", "1e3"]),
    ("REQUEST_TIMEOUT_SECONDS", ["0", "301"]),
    (
        "OIDC_ISSUER",
        [
            "",
            "cognito",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://:p@x",
            "https://@x",
            "https://x?y",
            "https://x#y",
            "http://a b",
            "https://x/",
        ],
    ),
    ("OIDC_AUDIENCE", ["", " ", "client ", " client", "a b", "client\n"]),
    ("OIDC_JWKS_URL", ["https://x:99999999/", "https://[::1/"]),
    ("TASK_QUEUE_URL", ["tasks", ""]),
    ("TASKS_PER_MINUTE", ["-1", "nan", "many"]),
    ("TASK_TYPES", [",", "a,", "re port", "x" * 65, ",".join(f"type-{number}" for number in range(51))]),
    ("MOMENTO_API_KEY_PARAM_NAME", ["", "/", "/a//b", "/a/b/", "a b"]),
    ("MOMENTO_CACHE_NAME", [""]),
    ("MOMENTO_ENDPOINT", ["https://momento:443", "http://momento", "http://momento:1/x", "a b", "host:8084"]),
    ("MOMENTO_WEB_ENDPOINT", ["localhost:8085"]),
    ("TOKEN_VALID_SECONDS", ["1", "86401", "half an hour"]),
    ("VENDING_PER_SECOND", ["0", "inf"]),
    ("VENDING_REPLICAS", ["0", "1.5"]),
    ("VENDING_WAIT_SECONDS", ["-1"]),
    ("HISTORY_RETENTION_SECONDS", ["-1", "86401"]),
    ("HISTORY_OPERATIONS_PER_SECOND", ["0", "0.9", "nan", "inf", "many"]),
    ("HISTORY_READS_PER_MINUTE", ["0", "-1", "inf"]),
    ("TOKEN_LOOKUPS_PER_SECOND", ["0", "inf"]),
    ("TASK_OPERATIONS_PER_SECOND", ["0", "0.9", "inf", "many"]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED for value in values])
def test_a_value_that_cannot_be_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    problems = problems_of(monkeypatch, name, value)
    assert list(problems) == [name]
    assert all(sentence and not sentence.endswith(".") for sentence in problems[name])


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGE_NAME")
    monkeypatch.delenv("OIDC_AUDIENCE")
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("ALLOWED_ORIGINS", "*")
    with pytest.raises(SettingsError) as caught:
        load(read_token)
    assert set(caught.value.problems) == {"STAGE_NAME", "OIDC_AUDIENCE", "PORT", "ALLOWED_ORIGINS"}
    lines = str(caught.value).splitlines()
    assert lines[0] == "The settings cannot be used. Correct these environment variables:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == sorted(caught.value.problems)


def test_one_setting_missing_is_named_alone() -> None:
    with pytest.raises(SettingsError) as caught:
        load(lambda env: (read_oidc(env), env.str("NEEDED_BUT_NOT_THERE")))
    assert list(caught.value.problems) == ["NEEDED_BUT_NOT_THERE"]


def test_each_service_has_its_own_default_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(env: Env) -> ServiceSettings:
        return read_service(env, default_grace_seconds=50.0)

    assert load(read).shutdown_grace_seconds == 50.0
    monkeypatch.setenv("SHUTDOWN_GRACE_SECONDS", "7")
    assert load(read).shutdown_grace_seconds == 7.0


@pytest.mark.parametrize("service", ["token", "ingest"])
def test_a_service_without_settings_exits_with_status_2(service: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PORT": "http", "LOG_LEVEL": "LOUD"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    needed = {"STAGE_NAME", "OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL", "PORT", "LOG_LEVEL"}
    named = {line.split(":")[0].strip() for line in ended.stderr.splitlines()[1:]}
    assert named >= needed
    assert "Traceback" not in ended.stderr
