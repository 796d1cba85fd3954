"""`HANDLER_PATH=… make up` as someone uses it who writes a handler: changes, mistakes, and a task that kills."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.demo.sign_up import application, signed_in_user
from local.ports import Ports
from notification_api.client import NotificationApi, TaskFailedError
from tests.support.processes.probes import answers_200
from tests.support.processes.supervised import Supervised, make_up

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

HANDLER = """
import asyncio
import os

from notification_api import Handlers, Task

handlers = Handlers()


@handlers.register()
async def work(task: Task) -> str:
    print(f"work on {{task.data}}", flush=True)
    await asyncio.sleep({seconds})
    return "{version}"


@handlers.register("quick")
async def quick(task: Task) -> str:
    return "done"


@handlers.register("poison")
async def poison(task: Task) -> str:
    os.abort()
"""


def write(handler: Path, *, seconds: int, version: str) -> None:
    """Save a good version of the handler."""
    handler.write_text(HANDLER.format(seconds=seconds, version=version))


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the developer's handler."""
    path = tmp_path_factory.mktemp("my-app") / "reports.py"
    write(path, seconds=600, version="first")
    return path


@pytest.fixture(scope="module")
def ports(new_ports: Callable[[], Ports]) -> Ports:
    return new_ports()


@pytest.fixture(scope="module")
def stack(ports: Ports, handler: Path) -> Iterator[Supervised]:
    extra = {
        "TASK_HANDLER": "reports:handlers",
        "HANDLER_PATH": str(handler.parent),
        "MAX_ATTEMPTS": "2",
        "LOCAL_PASS": "VISIBILITY_TIMEOUT_SECONDS",
        "VISIBILITY_TIMEOUT_SECONDS": "3",
    }
    with make_up(ports, extra) as running:
        yield running


@asynccontextmanager
async def user(ports: Ports) -> AsyncIterator[NotificationApi]:
    """A new user who is signed in."""
    async with application(f"http://localhost:{ports.page}") as app, (await signed_in_user(app)).api() as api:
        yield api


async def test_a_running_task_runs_again_with_the_new_code_and_no_attempt_is_counted(
    stack: Supervised, ports: Ports, handler: Path
) -> None:
    async with user(ports) as api:
        task = await api.submit("default", "in hand")
        stack.wait_for_output("work on in hand")
        write(handler, seconds=0, version="second")
        result = await task.finished(60)
        status = await task.status()
    assert "second" in result.message
    assert status.fields["attempt"] == 1
    assert stack.output().count("work on in hand") == 2
    assert "reports.py has changed: processor restarts" in stack.output()


def test_a_syntax_error_is_shown_and_the_next_good_version_starts(
    stack: Supervised, ports: Ports, handler: Path
) -> None:
    restarts = stack.output().count("processor runs again")
    handler.write_text("def broken(:\n")
    stack.wait_for_output(rf"processor starts again when a Python file in {handler.parent} changes")
    assert "reports cannot be imported: SyntaxError" in stack.output()
    assert answers_200(f"http://localhost:{ports.page}/healthz")
    handler.write_text("handlers = None\n")
    stack.wait_for_output("reports has no function handlers")
    write(handler, seconds=0, version="corrected")
    stack.wait_for_count("processor runs again", restarts + 1)


async def test_a_poison_pill_fails_after_its_attempts_and_other_tasks_finish(stack: Supervised, ports: Ports) -> None:
    async with user(ports) as api:
        poison = await api.submit("poison", "x")
        with pytest.raises(TaskFailedError):
            await poison.finished(90)
        assert "was ended by SIGABRT" in stack.output()
        assert "done" in (await (await api.submit("quick", "afterwards")).finished(60)).message
