"""The emulated AWS of the tests: a separate process with separate state that leaves nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from local.plan import ROOT
from tests.support.processes.ministack import MiniStack, ministack_process, new_account_id
from tests.support.processes.probes import alive
from tests.support.waiting import wait_until_sync


async def _queue_urls(stack: MiniStack, account_id: str = "local") -> list[str]:
    async with get_session().create_client("sqs", **stack.client_settings(account_id)) as sqs:
        return list((await sqs.list_queues()).get("QueueUrls", []))


async def _create_queue(stack: MiniStack, name: str, account_id: str = "local") -> None:
    async with get_session().create_client("sqs", **stack.client_settings(account_id)) as sqs:
        await sqs.create_queue(QueueName=name)


async def test_two_processes_share_no_state() -> None:
    with ministack_process() as one, ministack_process() as other:
        await _create_queue(one, "only-here")

        assert len(await _queue_urls(one)) == 1
        assert await _queue_urls(other) == []
        assert one.port != other.port


async def test_accounts_in_one_process_share_no_state() -> None:
    with ministack_process() as stack:
        await _create_queue(stack, "mine", new_account_id())

        assert await _queue_urls(stack, new_account_id()) == []


async def test_nothing_is_left_when_it_has_stopped() -> None:
    with ministack_process() as stack:
        files = stack.home
        assert files.exists()

    assert not files.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(stack.pid, 0)


def test_it_listens_on_the_loopback_address_only() -> None:
    with ministack_process() as stack:
        listening = {
            line.split()[1]
            for table in ("/proc/net/tcp", "/proc/net/tcp6")
            for line in Path(table).read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[9] in _socket_inodes(stack.pid)
        }

        assert listening == {f"0100007F:{stack.port:04X}"}


def _socket_inodes(pid: int) -> set[str]:
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def test_it_ends_when_the_test_run_is_killed() -> None:
    program = (
        "from tests.support.processes.ministack import ministack_process; import time\n"
        "with ministack_process() as stack:\n"
        "    print(stack.pid, flush=True); time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    run.kill()
    run.wait()
    run.stdout.close()

    wait_until_sync(lambda: not alive(pid), "MiniStack ends with the run that started it", timeout_seconds=10)
