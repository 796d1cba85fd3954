"""The dead-letter command on a stage's queues, and messages for them."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import Any
from unittest.mock import patch

from services.common.aws import clients
from services.processor.dead_letters.__main__ import run_command
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Said:
    """What the command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded


async def dead_letters_command(stage: ProcessorStage, *arguments: str, **environment: str) -> Said:
    """Run it in this process, which takes a tenth of the time. Two commands must not run at the same time."""
    out, err = StringIO(), StringIO()
    with (
        patch.object(clients, "_session", cache(clients.aws_session)),  # the process's own keeps another stage's keys
        patch.dict(os.environ, {**stage.environment(), **environment}, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        async with asyncio.timeout(40):
            status = await run_command(arguments)
    return Said(status, out.getvalue(), err.getvalue())


async def dead_letters_process(environment: Mapping[str, str], *arguments: str) -> Said:
    """Run it as a person does, as a process with this environment and no other."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.processor.dead_letters", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def interrupted(
    stage: ProcessorStage,
    when: Callable[[], Awaitable[bool]],
    signal_number: signal.Signals,
    *arguments: str,
    **environment: str,
) -> Said:
    """Run the command, and send it a signal once a condition is true."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.processor.dead_letters", *arguments),
        env={**stage.environment(), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await wait_until(when, timeout_seconds=20)
        process.send_signal(signal_number)
        async with asyncio.timeout(20):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def add_dead_letter(
    stage: ProcessorStage, task_id: str, reason: str = "permanent", body: str = "{}", **attributes: str
) -> str:
    """Put a message on the dead-letter queue as the processor does; returns its message id."""
    given: Mapping[str, str] = {
        "taskId": task_id,
        "deadLetterReason": reason,
        "deadLetterDetail": "why",
        "deadLetteredAt": "2026-11-22T10:00:00.000+00:00",
        "deadLetterReceiveCount": "3",
        "deadLetterVersion": "0.1.0",
        **attributes,
    }
    sent = await stage.sqs.send_message(
        QueueUrl=stage.dead_letter_queue_url,
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in given.items()},
        MessageGroupId="user",
    )
    return sent["MessageId"]


async def waiting(stage: ProcessorStage) -> tuple[int, int]:
    """Visible messages of the task queue and of the dead-letter queue, when none is in flight."""
    tasks, letters = await stage.depth(), await stage.depth(stage.dead_letter_queue_url)
    assert (tasks[1], letters[1]) == (0, 0), "something is still hidden"
    return tasks[0], letters[0]
