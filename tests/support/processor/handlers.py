"""Handlers for processors that run as processes: each does what `do` in the task's payload names."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from notification_api import PermanentError, Task


async def echo(task: Task) -> str:
    return task.data


async def wait(task: Task) -> str:
    await asyncio.sleep(task.fields["seconds"])
    return task.data


async def die(task: Task) -> str:
    os._exit(9)


async def fail(task: Task) -> str:
    raise PermanentError("as asked")


async def block(task: Task) -> str:
    time.sleep(task.fields["seconds"])  # noqa: ASYNC251 — the misbehaviour
    return task.data


async def ignore(task: Task) -> str:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def leak(task: Task) -> str:
    """Allocate memory in steps, without end."""
    allocated = []
    while True:
        allocated.append(b"x" * 8_000_000)
        await asyncio.sleep(0.01)


async def note(task: Task) -> str:
    """Append a line to the file that RUNS_FILE names: which process ran which task."""
    _append(Path(os.environ["RUNS_FILE"]), f"{os.getpid()} {task.id}\n")
    return task.data


def _append(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(line)


async def leave(task: Task) -> str:
    raise SystemExit(4)


async def leave_in_child(task: Task) -> str:
    """Exit from a task that the handler created."""
    async with asyncio.TaskGroup() as group:
        group.create_task(leave(task))
    return task.data


async def leave_in_callback(task: Task) -> str:
    asyncio.get_running_loop().call_soon(sys.exit, 4)
    return await wait(task)


async def cancel_all(task: Task) -> str:
    for each in asyncio.all_tasks():
        each.cancel()
    return await wait(task)


_WAYS: dict[str, Callable[[Task], Awaitable[str]]] = {
    each.__name__: each
    for each in (echo, wait, die, fail, block, ignore, leak, leave, leave_in_child, leave_in_callback, cancel_all)
}


async def handle(task: Task) -> str:
    """Do what the task asks for."""
    return await _WAYS[task.fields.get("do", "echo")](task)


def never_return(task: Task) -> str:
    """A plain function that never returns where the task asks for it."""
    while task.fields.get("do") == "hang":
        time.sleep(1)
    return task.data
