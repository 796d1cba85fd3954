"""Processors in virtual time, with a simulated queue and Momento, that are drained, killed and cut off."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from notification_api import PermanentError, Result, Task, TransientError
from services.common.aws.task_queue import OutgoingMessage
from services.common.lifecycle import Lifecycle
from services.common.messages.notification import Format
from services.common.messages.task_message import TaskMessage
from services.common.momento.cancel_requests import CancelRequests
from services.common.settings import MomentoSettings, ServiceSettings
from services.processor.handlers.task_types import TaskType, TaskTypes
from services.processor.processor import Processor
from services.processor.settings import ProcessorSettings
from tests.support.fakes.simulated_momento import SimulatedMomento
from tests.support.fakes.simulated_queue import SimulatedQueue

USER = "user"
SETTINGS = ProcessorSettings(
    service=ServiceSettings(
        service_name="notification-api",
        stage_name="test",
        log_level="INFO",
        host="h",
        port=1,
        ops_port=2,
        shutdown_delay_seconds=0,
        shutdown_grace_seconds=30,
    ),
    momento=MomentoSettings(api_key_param_name="p", cache_name="c", endpoint=None),
    task_queue_url="q",
    dead_letter_queue_url="d",
    handler="m:f",
    handler_threads=1,
    concurrency=3,
    user_share=1,
    receive_wait_seconds=2,
    visibility_timeout_seconds=30,
    max_task_seconds=900,
    max_attempts=3,
    backoff_base_seconds=4,
    backoff_cap_seconds=900,
    notify_seconds=60,
    notification_format=Format.JSON,
    progress_per_second=0,
    status_writes_per_second=5,
    history_retention_seconds=86_400,
)
TYPES = {"default": None, "limited": 1}
"""Concurrency by task type."""
FAR_SECONDS = 8 * 3_600
"""Long after every outage has ended."""


class Gate:
    """Forwards the calls of a process to a server; once closed, calls have no effect and never end, as after a kill."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._test_is_over = asyncio.Event()
        self.closed = False

    def open(self) -> None:
        """Let pending calls fail, so that they can be cleaned up."""
        self._test_is_over.set()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._call(value) if asyncio.iscoroutinefunction(value) else value

    def _call(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            if not self.closed:
                answer = await method(*arguments, **options)
            if not self.closed:
                return answer
            await self._test_is_over.wait()
            raise TransientError("the process was killed")

        return call


class Process:
    """One processor with handlers that count how often they finish."""

    def __init__(self, simulation: "Simulation") -> None:
        self.started: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.handle: Callable[[Task], Awaitable[str]]
        self.lifecycle = Lifecycle()
        self._gates = [Gate(target) for target in (simulation.momento, simulation.queue, simulation.dead_letters)]
        momento, queue, dead_letters = cast("Any", self._gates)
        self.handle = self._handle
        self._processor = Processor(SETTINGS, self.lifecycle, momento, queue, dead_letters, self._types())
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    def _types(self) -> TaskTypes:
        async def call(task: Task) -> Result:
            return Result(await self.handle(task))

        return {
            name: TaskType(
                name=name,
                call=call,
                timeout_seconds=SETTINGS.max_task_seconds,
                max_attempts=SETTINGS.max_attempts,
                backoff_base_seconds=SETTINGS.backoff_base_seconds,
                backoff_cap_seconds=SETTINGS.backoff_cap_seconds,
                concurrency=concurrency,
            )
            for name, concurrency in TYPES.items()
        }

    async def _run(self) -> None:
        async with self._processor.running():
            await self._stop.wait()

    async def _handle(self, task: Task) -> str:
        self.started[task.id] += 1
        await asyncio.sleep(task.fields["seconds"])
        if task.fields["fails"]:
            raise PermanentError("as asked")
        self.finished[task.id] += 1
        return "done"

    async def drain(self) -> None:
        self._stop.set()
        await asyncio.wait({self._running})
        await self.lifecycle.background.close()

    def lose_leases(self) -> None:
        leases = self._processor._leases
        for lease in list(leases._leases):
            leases._lose(lease, "by the test")

    def clean_up(self) -> None:
        for gate in self._gates:
            gate.open()

    async def kill(self) -> None:
        for gate in self._gates:
            gate.closed = True
        self.lifecycle.force_stop.set()
        await self.drain()


class Simulation:
    def __init__(self, processes: int = 1) -> None:
        self.momento = SimulatedMomento()
        self.queue = SimulatedQueue(2 * SETTINGS.max_attempts)  # as the chart sets it
        self.dead_letters = SimulatedQueue()
        self.processes = [Process(self) for _ in range(processes)]
        self.ended: list[Process] = []
        self.kills = 0
        self.may_have_lost_results = False
        """Whether a process has ended while it could not store results."""

    def send(
        self,
        task_id: str,
        seconds: float,
        *,
        fails: bool,
        idempotent: bool,
        delay_seconds: int = 0,
        expires_at_ms: int | None = None,
        task_type: str = "default",
    ) -> None:
        payload = json.dumps({"data": task_id, "seconds": seconds, "fails": fails})
        task = TaskMessage(
            task_id=task_id,
            user_id=USER,
            payload=payload,
            idempotent=idempotent,
            type=task_type,
            delay_seconds=delay_seconds,
            expires_at_ms=expires_at_ms,
        )
        self.queue.add(
            OutgoingMessage(body=task.body(), attributes=task.attributes(), group_id=USER, delay_seconds=delay_seconds)
        )

    async def cancel(self, task_id: str) -> bool:
        """Request that the task is cancelled, as the token service does; returns whether that was promised."""
        history = f"history:{USER}"
        requests = CancelRequests(self.momento.as_momento())
        try:
            if await self.momento.dictionary_get(history, task_id, deadline_seconds=1) is not None:
                return False
            await requests.add(USER, task_id, int(time.time() * 1000), deadline_seconds=1)
            if await self.momento.dictionary_get(history, task_id, deadline_seconds=1) is None:
                return True
            await requests.remove([(USER, task_id)], deadline_seconds=1)
        except TransientError:
            pass
        return False

    @staticmethod
    def task_of(body: str) -> str:
        """Return the id of the task in a message, which is its data, too."""
        return str(json.loads(json.loads(body)["payload"])["data"])

    async def event(self, name: str) -> None:
        if name == "drain":
            await self._replace(Process.drain)
        elif name == "kill":
            self.kills += 1
            await self._replace(Process.kill)
        elif name == "leases lost":
            self.processes[0].lose_leases()
        elif name == "second process":
            self.processes.append(Process(self))
        else:
            self._switch(name)

    def _switch(self, name: str) -> None:
        momento = self.momento
        momento.topics_out = name in {"topics out", "momento out", "momento answers lost", "all out"}
        momento.cache_out = name in {"cache out", "momento out", "momento answers lost", "all out"}
        momento.answers_lost = name == "momento answers lost"
        fault = {"queue refuses": "refuses", "queue silent": "silent", "all out": "silent"}.get(name)
        self.queue.fault = self.dead_letters.fault = "answers lost" if name == "queue answers lost" else fault
        if name.startswith("dead-letter queue "):
            self.dead_letters.fault = name.removeprefix("dead-letter queue ")

    async def _replace(self, end: Callable[[Process], Awaitable[None]]) -> None:
        self.may_have_lost_results |= self.momento.cache_out
        process = self.processes.pop(0)
        self.processes.append(Process(self))
        await end(process)
        self.ended.append(process)

    async def close(self) -> None:
        await asyncio.gather(*(process.drain() for process in self.processes))
        self.ended += self.processes
        for process in self.ended:
            process.clean_up()
