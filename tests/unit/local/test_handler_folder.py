"""HANDLER_PATH: which folders are accepted, and what the processor gets."""

from pathlib import Path

import pytest

from local import environment
from local.handler_folder import InvalidHandlerPathError, handler_path_from
from local.supervisor.managed_process import UNUSABLE_SETTINGS_STATUS
from services.common.run import EXIT_SETTINGS
from tests.unit.local.test_environment import KEYS, OUTPUTS, PORTS


def shell(path: object, **more: str) -> dict[str, str]:
    return {"HANDLER_PATH": str(path), "TASK_HANDLER": "reports:handlers", **more}


def processor(given: dict[str, str]) -> environment.Environment:
    return environment.service("processor", given, PORTS, KEYS, OUTPUTS)


def test_the_path_is_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-app").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert handler_path_from(shell("../my-app")) == tmp_path / "my-app"


@pytest.mark.parametrize("given", [{}, {"HANDLER_PATH": " "}])
def test_without_it_nothing_changes(given: dict[str, str]) -> None:
    assert handler_path_from(given) is None
    assert not {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"} & processor(given).keys()
    assert processor(given)["SHUTDOWN_GRACE_SECONDS"] == "8"


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file.py").touch()
    (tmp_path / "a:b").mkdir()
    for path, problem in (
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "file.py", "is not a folder"),
        ("/", "not the whole disk"),
        (tmp_path / "a:b", "cannot import from a folder with ':'"),
    ):
        with pytest.raises(InvalidHandlerPathError, match=problem):
            handler_path_from(shell(path))


def test_it_needs_the_name_of_the_handler(tmp_path: Path) -> None:
    with pytest.raises(InvalidHandlerPathError, match="needs TASK_HANDLER"):
        handler_path_from({"HANDLER_PATH": str(tmp_path)})


def test_the_folder_comes_before_a_passed_python_path(tmp_path: Path) -> None:
    given = shell(tmp_path, LOCAL_PASS="PYTHONPATH", PYTHONPATH="/lib/of/mine")
    assert processor(given)["PYTHONPATH"] == f"{tmp_path}:/lib/of/mine"
    assert processor(shell(tmp_path))["PYTHONPATH"] == str(tmp_path)
    assert "PYTHONPATH" not in environment.service("token", given, PORTS, KEYS, OUTPUTS)


def test_the_supervisor_knows_the_exit_status_of_unusable_settings() -> None:
    assert UNUSABLE_SETTINGS_STATUS == EXIT_SETTINGS
