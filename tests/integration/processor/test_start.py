"""A start with invalid settings reports each in a sentence and ends with status 2, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.environment import base_environment
from local.plan import ROOT

SETTINGS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "STAGE_NAME": "test",
    "HOST": "127.0.0.1",
    "TASK_QUEUE_URL": "http://127.0.0.1:9/tasks",
    "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/dlq",
    "MOMENTO_API_KEY_PARAM_NAME": "/key",
    "MOMENTO_CACHE_NAME": "cache",
}

SEVERAL = """
import asyncio, contextlib
from notification_api import Handlers

none, no_database, swallowing = Handlers(), Handlers(), Handlers()

@no_database.register("report")
@swallowing.register("report")
class Report:
    async def setup(self):
        raise ConnectionError("no database")

    async def __call__(self, task): ...

@swallowing.register()
class Swallowing(Report):
    async def setup(self):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
"""


def start(tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "mine.py").write_text("def no_argument(): ...\nconstant = 5\n")
    (tmp_path / "broken.py").write_text("def handle(:\n")
    (tmp_path / "several.py").write_text(SEVERAL)
    return subprocess.run(
        [sys.executable, "-m", "services.processor"],
        cwd=ROOT,
        env={**base_environment(os.environ), **SETTINGS, "OPS_PORT": "19", "PYTHONPATH": str(tmp_path), **changes},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def ops_port(unused_tcp_port: int) -> str:
    return str(unused_tcp_port)


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        ("nothing", "must be module:function"),
        ("no_such_module:handle", "no_such_module cannot be imported: No module named 'no_such_module'"),
        ("mine:absent", "mine has no function absent"),
        ("mine:constant", "mine has no function constant"),
        ("mine:no_argument", "mine:no_argument must take one argument, the task"),
        ("broken:handle", "broken cannot be imported: SyntaxError"),
        ("several:none", "several:none has no handler: register at least one with @none.register()"),
        ("several:no_database", "the handler of the type 'report' cannot be set up: ConnectionError: no database"),
    ],
)
def test_an_unusable_handler_is_refused(tmp_path: Path, ops_port: str, handler: str, sentence: str) -> None:
    ended = start(tmp_path, TASK_HANDLER=handler, OPS_PORT=ops_port)
    assert ended.returncode == 2
    assert f"TASK_HANDLER: {sentence}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_setup_that_ignores_its_cancellation_does_not_keep_a_failed_start_alive(
    tmp_path: Path, ops_port: str
) -> None:
    ended = start(tmp_path, TASK_HANDLER="several:swallowing", OPS_PORT=ops_port)
    assert ended.returncode == 2
    assert "TASK_HANDLER: the handler of the type 'report' cannot be set up" in ended.stderr


def test_all_invalid_settings_are_reported_together(tmp_path: Path, ops_port: str) -> None:
    wrong = {"CONCURRENCY": "0", "USER_SHARE": "2", "TASK_QUEUE_URL": "queue", "VISIBILITY_TIMEOUT_SECONDS": "x"}
    ended = start(tmp_path, **wrong, OPS_PORT=ops_port)
    assert ended.returncode == 2
    assert all(f"  {name}: " in ended.stderr for name in wrong)
    assert "Traceback" not in ended.stderr


def test_a_grace_period_shorter_than_the_long_poll_is_refused(tmp_path: Path, ops_port: str) -> None:
    ended = start(tmp_path, SHUTDOWN_GRACE_SECONDS="20", OPS_PORT=ops_port)
    assert ended.returncode == 2
    assert "SHUTDOWN_GRACE_SECONDS: must be above 25" in ended.stderr
