"""When the state of the last run is kept, and when it is forgotten."""

import os
import subprocess
import sys
from pathlib import Path

from local.kept_state import open_state
from local.plan import ROOT
from local.ports import Ports
from local.supervisor.lock import hold_lock

PORTS = Ports(18_080)


def saved(folder: Path) -> Path:
    """Files as the emulators write them."""
    (folder / "ministack").mkdir()
    (folder / "ministack" / "sqs.json").write_text("{}")
    (folder / "momento.json").write_text("{}")
    return folder / "ministack" / "sqs.json"


def test_the_first_start_has_nothing_to_say(tmp_path: Path) -> None:
    assert open_state(tmp_path) == ""


def test_the_state_of_the_last_run_is_kept(tmp_path: Path) -> None:
    open_state(tmp_path)
    queues = saved(tmp_path)
    assert open_state(tmp_path).startswith("Kept from the last run: users, tasks, history and keys")
    assert queues.exists()


def test_the_state_of_another_version_is_forgotten_and_said(tmp_path: Path) -> None:
    open_state(tmp_path)
    saved(tmp_path)
    (tmp_path / "version").write_bytes(b"\xff another")
    (tmp_path / "developer.json").write_text("{}")
    assert open_state(tmp_path).startswith("Forgotten, because another version of the project wrote it")
    assert {path.name for path in tmp_path.iterdir()} == {"version", "developer.json"}
    saved(tmp_path)
    assert open_state(tmp_path).startswith("Kept")


def clean_state(root: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOCAL_PORT_BASE": str(PORTS.base)}
    command = [sys.executable, "-m", "local.kept_state"]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=30)


def test_clean_state_forgets_everything(tmp_path: Path) -> None:
    folder = PORTS.state_folder(tmp_path)
    folder.mkdir(parents=True)
    saved(folder)
    for _ in range(2):
        done = clean_state(tmp_path)
        assert (done.returncode, done.stdout) == (0, "The stack on port 18080 keeps nothing now.\n")
        assert not folder.exists()


def test_clean_state_refuses_while_the_stack_runs(tmp_path: Path) -> None:
    folder = PORTS.state_folder(tmp_path)
    with hold_lock(folder / "lock", PORTS.base):
        queues = saved(folder)
        done = clean_state(tmp_path)
    assert done.returncode == 2
    assert "The stack is already running" in done.stderr
    assert queues.exists()
