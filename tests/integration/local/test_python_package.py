"""The Python package, installed as an application would: what it brings, and a script that uses it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.demo.sign_up import application, signed_in_user
from local.plan import ROOT
from tests.support.processes.local_stack import LocalStack

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.timeout(180)]

PACKAGE = ROOT / "sdk" / "python"
EXAMPLE = ROOT / "examples" / "python-backend"
Install = Callable[[str], Path]

CONSUMER = """
from notification_api.client import NotificationApi, TaskResult


async def report(month: str) -> TaskResult:
    async with NotificationApi("https://api.example.com", token="token") as api:
        task = await api.submit("report", {"month": month})
        return await task.finished(timeout=60)
"""


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    shell = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, env={**shell, **environment}, cwd="/", capture_output=True, text=True, timeout=120)


def succeed(*command: str | Path, **environment: str) -> str:
    done = run(*command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install a requirement into a new virtual environment, and return its Python."""

    def installed(requirement: str) -> Path:
        folder = tmp_path_factory.mktemp("venv")
        uv = (sys.executable, "-m", "uv")
        succeed(*uv, "venv", "--quiet", "--python", sys.executable, folder)
        python = folder / "bin" / "python"
        succeed(*uv, "pip", "install", "--quiet", "--python", python, requirement)
        return python

    return installed


@pytest.fixture(scope="module")
def client_python(install: Install) -> Path:
    return install(f"{PACKAGE}[client]")


def test_without_the_extra_there_are_no_dependencies_and_the_client_says_what_to_install(install: Install) -> None:
    python = install(str(PACKAGE))
    freeze = succeed(sys.executable, "-m", "uv", "pip", "freeze", "--python", python)
    assert [line.partition(" ")[0] for line in freeze.splitlines()] == ["notification-api-sdk"]
    assert succeed(python, "-c", "from notification_api import Handlers; print(len(Handlers()))") == "0\n"
    done = run(python, "-c", "import notification_api.client")
    assert re.search(
        r"ModuleNotFoundError: notification_api.client needs aiohttp: install .*extra `client`", done.stderr
    )


async def test_the_example_submits_a_task_and_prints_its_result(local_stack: LocalStack, client_python: Path) -> None:
    async with application(local_stack.page_url) as app:
        id_token = (await signed_in_user(app)).id_token
    printed = succeed(
        client_python, EXAMPLE / "submit_report.py", API_URL=local_stack.page_url, ID_TOKEN=f"{id_token}\n"
    )
    assert re.fullmatch(r"submitted [0-9a-f-]{36}\nFinished task: 3 steps\n", printed)


def test_an_application_can_check_its_types(client_python: Path, tmp_path: Path) -> None:
    consumer = tmp_path / "consumer.py"
    consumer.write_text(CONSUMER)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", os.devnull)
    assert succeed(*mypy, "--python-executable", client_python, consumer).startswith("Success")
    consumer.write_text(CONSUMER.replace('"report"', "1"))
    assert (
        'has incompatible type "int"; expected "str"'
        in run(*mypy, "--python-executable", client_python, consumer).stdout
    )
