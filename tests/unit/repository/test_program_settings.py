"""Every number in every program's settings: what is no plain number is refused by the name of its setting."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import k8s.operator.settings
import k8s.smoke.settings
import services.ingest.settings
import services.processor.settings
import services.token.settings
from local.errors import LocalError
from local.page.settings import page_port
from services.common.settings import SettingsError, load

ROOT = Path(__file__).resolve().parents[3]
NAME = re.compile(r'(?:env\.\w+\(|read_\w+\(\s*env,)\s*"([A-Z_]+)"')
NUMBER = re.compile(r'read_(?:optional_)?(?:int|float)\(\s*env,\s*"([A-Z_]+)"')
WHOLE = re.compile(r'read_(?:optional_)?int\(\s*env,\s*"([A-Z_]+)"')
COMPLETE = {
    "STAGE_NAME": "dev",
    "OIDC_ISSUER": "https://issuer.example.com",
    "OIDC_AUDIENCE": "client",
    "OIDC_JWKS_URL": "https://issuer.example.com/jwks.json",
    "TASK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/tasks",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/dlq",
    "MOMENTO_API_KEY_PARAM_NAME": "/notification-api/dev/momento-api-key",
    "MOMENTO_CACHE_NAME": "cache",
    "CLUSTER_NAME": "staging",
    "TOKEN_URL": "http://token",
    "TASK_URL": "http://ingest",
}
PROGRAMS: dict[str, tuple[Callable[..., Any], str]] = {
    "token": (services.token.settings.read_settings, "services/token/settings.py"),
    "ingest": (services.ingest.settings.read_settings, "services/ingest/settings.py"),
    "processor": (services.processor.settings.read_settings, "services/processor/settings.py"),
    "operator": (k8s.operator.settings.read_settings, "k8s/operator/settings.py"),
    "smoke": (k8s.smoke.settings.read_settings, "k8s/smoke/settings.py"),
}
COMMON = (ROOT / "services/common/settings.py").read_text()
NO_NUMBER = [
    "",
    " ",
    " 5",
    "5 ",
    "5\n",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "abc",
    "1_000",
    "0x10",
    "1,5",
    "\u0665",
    "²",
]
NO_NUMBER += ["9" * 400, "1e1", "1e-05", "+5", "5.", ".5", "1e999", "true", "None", "5s", "--5"]
NOT_WHOLE = ["5.0"]
NO_TEXT = ["", " ", "\n", "\t", "a\nb", "\x7f"]


def text_of(program: str) -> str:
    """The source in which the settings of a program are read."""
    own = (ROOT / PROGRAMS[program][1]).read_text()
    groups = [name for name in re.findall(r"def (read_\w+)\(", COMMON) if re.search(rf"\b{name}\(env", own)]
    return own + "".join(COMMON[COMMON.index(f"def {name}(") :].split("\ndef ", 2)[0] for name in groups)


def numbers() -> list[Any]:
    return [
        pytest.param(program, name, value, id=f"{program}-{name}-{value[:12]!r}")
        for program in PROGRAMS
        for name in sorted(set(NUMBER.findall(text_of(program))))
        for value in [*NO_NUMBER, *(NOT_WHOLE if name in WHOLE.findall(text_of(program)) else [])]
    ]


@pytest.fixture(autouse=True)
def _complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for program in PROGRAMS for name in NAME.findall(text_of(program))}:
        monkeypatch.delenv(name, raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def problems(program: str) -> dict[str, list[str]]:
    try:
        load(PROGRAMS[program][0])
    except SettingsError as error:
        return error.problems
    return {}


def test_all_numbers_are_read_by_one_function() -> None:
    for program in PROGRAMS:
        assert not re.findall(r"env\.(?:int|float|decimal|timedelta)\(", text_of(program))
        assert NUMBER.findall(text_of(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_complete_values_are_accepted(program: str) -> None:
    assert problems(program) == {}


@pytest.mark.parametrize(("program", "name", "value"), numbers())
def test_a_value_that_is_no_plain_number_is_refused_by_name(
    program: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    found = problems(program)
    assert list(found) == [name]
    assert all(sentence.startswith("must be") and len(sentence) < 150 for sentence in found[name])


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("value", NO_TEXT)
def test_an_invalid_name_or_address_is_refused(program: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COMPLETE:
        monkeypatch.delenv(name)
    needed = list(problems(program))
    for name in needed:
        monkeypatch.setenv(name, value)
    assert sorted(problems(program)) == sorted(needed)


@pytest.mark.parametrize("value", [*NO_NUMBER, *NOT_WHOLE, "0", "65536"])
@pytest.mark.parametrize("name", ["PAGE_PORT"])
def test_the_server_of_the_application_refuses_an_invalid_port(name: str, value: str) -> None:
    with pytest.raises(LocalError, match=rf"{name} must be"):
        page_port({name: value})


def test_negative_zero_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRESS_PER_SECOND", "-0")
    assert str(load(services.processor.settings.read_settings).progress_per_second) == "0.0"


def test_the_processor_names_the_setting_of_its_built_in_handler_with_all_other_mistakes() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "services.processor"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **COMPLETE, "ECHO_SECONDS": "abc", "CONCURRENCY": "0", "STAGE_NAME": "a b"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    named = [line.split(":")[0].strip() for line in ended.stderr.splitlines()[1:]]
    assert named == ["CONCURRENCY", "ECHO_SECONDS", "STAGE_NAME"]
    assert "ECHO_SECONDS: must be a number such as 2.5, not 'abc'" in ended.stderr


@pytest.mark.parametrize("value", ["-1", "39601"])
def test_the_built_in_handler_waits_no_longer_than_a_task_may_take(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_SECONDS", value)
    assert list(problems("processor")) == ["ECHO_SECONDS"]
