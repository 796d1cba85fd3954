"""The built-in handlers."""

from typing import Any

import pytest

from notification_api import PermanentError, Result
from notification_api.testing import run
from services.processor import echo
from services.processor.echo import handlers


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_SECONDS", "0")
    monkeypatch.setattr(echo, "STEP_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("data", "result"), [("größer", Result("größer")), ({"ö": [1]}, Result('{"ö": [1]}', {"ö": [1]}))]
)
def test_a_task_without_a_type_is_echoed(data: Any, result: Result) -> None:
    assert run(handlers, data, type="default").result == result


def test_steps_are_reported_as_progress() -> None:
    ran = run(handlers, {"steps": 2}, type="steps")
    assert ran.progress == [("step 1 of 2", 50), ("step 2 of 2", 100)]
    assert ran.result == Result("2 steps", {"steps": 2})


def test_steps_can_be_cancelled() -> None:
    assert run(handlers, {"steps": 600}, type="steps", cancel_after_progress=1).status == "cancelled"


def test_a_failure_has_a_public_reason() -> None:
    ran = run(handlers, "x", type="failure")
    assert ran.status == "failed"
    assert isinstance(ran.error, PermanentError)
    assert ran.error.public == "This type of task always fails"


def test_a_large_result_has_the_size_that_is_asked_for() -> None:
    result = run(handlers, {"kibibytes": 500}, type="large").result
    assert result
    assert (result.message, len(result.data["text"])) == ("500 KiB", 512_000)


@pytest.mark.parametrize("task_type", ["steps", "large"])
@pytest.mark.parametrize("data", ["x", 1, {}, {"steps": 0}, {"steps": 601, "kibibytes": 501}, {"steps": True}, []])
def test_data_without_a_number_is_refused(task_type: str, data: Any) -> None:
    ran = run(handlers, data, type=task_type)
    assert ran.status == "failed"
    assert isinstance(ran.error, PermanentError)
    assert ran.error.public
    assert "must be" in ran.error.public
