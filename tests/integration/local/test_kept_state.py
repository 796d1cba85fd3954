"""What survives a restart of `make up`, also of one that was killed, and what happens to damaged files."""

import os
import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from local.demo.sign_up import Application, application, confirmed_user, signed_in
from local.plan import ROOT
from local.ports import Ports
from local.supervisor.port_check import is_taken
from notification_api.client import Credentials, NotificationApi
from tests.support.processes.supervised import Supervised, make_up
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

QUICK, SLOW = {"ECHO_SECONDS": "0.1"}, {"ECHO_SECONDS": "600"}
KEPT = "Kept from the last run: users, tasks, history and keys"


def url(ports: Ports) -> str:
    return f"http://localhost:{ports.page}"


async def api_of(app: Application, user: Credentials) -> NotificationApi:
    """A client of a user who signs in now."""
    return (await signed_in(app, await app.config(), user)).api()


async def is_running(api: NotificationApi, task_id: str) -> bool:
    return (await api.get_task(task_id)).status == "running"


def emulated_aws_pid(stack: Supervised) -> int:
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^ *(\d+) +{stack.pid} .* local\.aws$", listed, re.MULTILINE)
    assert found
    return int(found[1])


async def test_users_history_and_running_tasks_survive_a_restart(new_ports: Callable[[], Ports]) -> None:
    ports = new_ports()
    with make_up(ports, QUICK) as stack:
        assert KEPT not in stack.output()
        async with application(url(ports)) as app:
            user = await confirmed_user(app, await app.config())
            async with await api_of(app, user) as api:
                finished = await api.submit("default", "before")
                await finished.finished(60)
    with make_up(ports, SLOW) as stack:
        assert KEPT in stack.output()
        assert "bootstrap | stored the Momento API key" not in re.sub(" +", " ", stack.output())
        async with application(url(ports)) as app, await api_of(app, user) as api:
            assert [each.task_id for each in (await api.history()).notifications] == [finished.id]
            running = await api.submit("default", "interrupted")
            await wait_until(lambda: is_running(api, running.id))
    with make_up(ports, QUICK):
        async with application(url(ports)) as app, await api_of(app, user) as api:
            await api.finished(running.id, 60)
            assert (await api.get_task(running.id)).fields["attempt"] == 1


async def test_a_killed_stack_loses_only_what_was_not_saved_yet(new_ports: Callable[[], Ports]) -> None:
    ports = new_ports()
    state = ports.state_folder(ROOT)
    with make_up(ports, QUICK) as stack:
        async with application(url(ports)) as app:
            user = await confirmed_user(app, await app.config())
            async with await api_of(app, user) as api:
                task = await api.submit("default", "before")
                await task.finished(60)
        await wait_until(lambda: '"CONFIRMED"' in (state / "ministack" / "cognito.json").read_text())
        await wait_until(lambda: task.id.encode() in (state / "momento.items").read_bytes())
        stack.signal(signal.SIGKILL)
        stack.ended()
    await wait_until(lambda: not any(is_taken(port) for port in ports.purposes()))  # its processes end by themselves
    with make_up(ports, QUICK) as stack:
        async with application(url(ports)) as app, await api_of(app, user) as api:
            assert (await api.get_task(task.id)).status == "finished"
            os.kill(emulated_aws_pid(stack), signal.SIGKILL)
            stack.wait_for_output("bootstrap is done again")
            assert "has lost its state" not in stack.output()
            async with await api_of(app, user) as again:
                await (await again.submit("default", "after")).finished(60)


async def test_damaged_files_are_reported_and_forgotten(new_ports: Callable[[], Ports]) -> None:
    ports = new_ports()
    state = ports.state_folder(ROOT)
    with make_up(ports, QUICK):
        pass
    for path in (state / "ministack" / "cognito.json", state / "momento.json", state / "momento.items"):
        assert path.exists()
        path.write_bytes(b"\xff{damaged")
    with make_up(ports, QUICK) as stack:
        assert "The saved state of cognito cannot be read and is forgotten." in stack.output()
        assert "momento.json is not a state file of the emulator: keys and caches are forgotten" in stack.output()
        assert "the items of the caches are forgotten" in stack.output()
        async with application(url(ports)) as app:
            user = await confirmed_user(app, await app.config())
            async with await api_of(app, user) as api:
                await (await api.submit("default", "x")).finished(60)
