"""A stage kept as its resource says: observe, diff, act, again and again, until it is gone."""

import asyncio
import logging
import random
import time

from k8s.operator.api.client import Conflict, Refused, Unreachable
from k8s.operator.api.stage import StageObject, StageRef, stage_object
from k8s.operator.api.status import Kind, StageStatus
from k8s.operator.context import Tools
from k8s.operator.controller.finalize import tear_down
from k8s.operator.controller.provision import hold_on_to, provision
from k8s.operator.health.problems import Problem
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.metrics import LAST_PASS, PASS_SECONDS, PASSES, forget_scaling
from k8s.operator.resources.errors import NotOwnedError
from k8s.operator.resources.spec import StageOutputs
from services.common.backoff import Backoff
from services.common.errors import PermanentError, Transient

logger = logging.getLogger(__name__)

CONFLICT_SECONDS = 0.2
WAITING_FIRST_SECONDS, WAITING_CAP_SECONDS = 0.5, 5.0
RESYNC_JITTER = 0.1
_CANNOT_TELL = {"Unavailable", "KubernetesUnreachable", "InternalError"}


class Keeper:
    """One a stage. `outputs` are there once it has been made; `stage` is as last read."""

    def __init__(self, tools: Tools, stage: StageObject, status: StageStatus, health: StageHealth) -> None:
        self.stage = stage
        self.outputs: StageOutputs | None = None
        self.wake = asyncio.Event()
        """Somebody has reason to believe that something changed."""
        self.acting = asyncio.Lock()
        """Held while the stage is removed, and by whoever scales it: no processor may start under a removal."""
        self._tools = tools
        self._status = status
        self._health = health
        self._environment: dict[str, str] | None = None
        self._backoff = Backoff()
        self._waiting = Backoff(WAITING_FIRST_SECONDS, WAITING_CAP_SECONDS)
        self._told: set[str] = set()

    @property
    def ref(self) -> StageRef:
        return self.stage.ref

    @property
    def environment(self) -> dict[str, str] | None:
        """What the ConfigMap with the outputs has to say; None before the first pass of this process."""
        return self._environment

    async def reconcile_once(self) -> float | None:
        """Read the Stage and do what it wants. Seconds until the next pass; None when it is gone."""
        self.wake.clear()
        kind = "read"
        try:
            body = await self._tools.kubernetes.get(self.ref.path)
            if body is None or body["metadata"]["uid"] != self.ref.uid:
                return None
            self.stage = stage_object(body)
            kind = "remove" if self.stage.is_deleting else "make"
            with PASS_SECONDS.labels(kind).time():
                pause = await self._make_or_remove()
            PASSES.labels(kind, "ok").inc()
            return pause
        except Conflict as error:
            PASSES.labels(kind, "conflict").inc()
            return await self._failed("Conflict", str(error), at_least=CONFLICT_SECONDS)
        except (Transient, PermanentError) as error:
            PASSES.labels(kind, _reason(error)).inc()
            return await self._failed(_reason(error), str(error), getattr(error, "retry_after_seconds", 0.0))
        except Exception as error:
            PASSES.labels(kind, "error").inc()
            logger.exception("a pass failed unexpectedly", extra={"action": "pass"})
            return await self._failed("InternalError", f"{type(error).__name__}: see the operator's log")

    async def _make_or_remove(self) -> float | None:
        # Those that fail take turns among themselves: a call that hangs would hold up stages that are well.
        turns = self._tools.retries if self._backoff.is_failing else self._tools.passes
        if not self.stage.is_deleting:
            async with turns:
                return await self._make()
        async with self.acting, turns:
            return await self._remove()

    @property
    def _was_made(self) -> bool:
        """By this process, or by one before it."""
        return self.outputs is not None or bool(self.stage.status.get("resources"))

    async def _make(self) -> float:
        await hold_on_to(self._tools, self.stage)
        made = await provision(self._tools, self.stage, self._announce)
        self.outputs = made.outputs
        generation = self.stage.generation
        message = "; ".join(made.notices) or "queue, user pool and cache are as they should be"
        self._status.set(Kind.PROVISIONED, "Provisioned", message, status=True, generation=generation)
        problems = (Problem("Notices", "; ".join(made.notices)),) if made.notices else ()
        await self._health.provisioned(self.stage, problems, is_made=True)
        self._status.set_resources(made.outputs)
        self._status.set_observed(generation, "Retain" if self.stage.retains else "Delete")
        await self._status.flush(self._tools.kubernetes)
        LAST_PASS.labels(*self.stage.labels).set(time.time())
        self._backoff.reset()
        return self._tools.settings.resync_seconds * _jitter()

    def _announce(self, data: dict[str, str]) -> None:
        self._environment = data

    async def _remove(self) -> float | None:
        # Told once: what follows says more, and the two would take turns.
        if not self._status.is_(Kind.READY, status=False):
            await self._health.removing(self.stage, "Deleting", "the stage is being removed")
            await self._status.flush(self._tools.kubernetes)
        message = "the Stage is being deleted: its processors are not scaled any more"
        if self._status.set(Kind.SCALING, "Deleting", message, status=False, generation=self.stage.generation):
            forget_scaling(*self.stage.labels)
        waiting = await tear_down(self._tools, self.stage, self._told)
        self._backoff.reset()
        if waiting is None:
            return None
        await self._health.removing(self.stage, waiting.reason, waiting.message)
        await self._status.flush(self._tools.kubernetes)
        return self._waiting.next_seconds(waiting.at_least_seconds)

    async def _failed(self, reason: str, message: str, at_least: float = 0.0) -> float:
        """Say so in the conditions, as far as Kubernetes can be told anything; the others stages go on."""
        pause = self._backoff.next_seconds(at_least)
        logger.warning(message, extra={"action": "pass", "reason": reason, "retry_seconds": round(pause, 1)})
        if reason == "Conflict" and pause < 1:
            return pause
        generation = self.stage.generation
        if not self.stage.is_deleting:
            # What was made may be there all the same; what was never made is not.
            status = None if self._was_made and reason in _CANNOT_TELL else False
            self._status.set(Kind.PROVISIONED, reason, message, status=status, generation=generation)
        try:
            if self.stage.is_deleting:
                await self._health.removing(self.stage, "RemovalFails", message)
            await self._health.provisioned(self.stage, (Problem(reason, message),), is_made=self._was_made)
            await self._status.flush(self._tools.kubernetes)
        except (Unreachable, Refused) as error:
            logger.warning("the status cannot be written", extra={"action": "status", "error": str(error)})
        return pause


def _reason(error: Exception) -> str:
    if isinstance(error, NotOwnedError):
        return "NotOurs"
    if isinstance(error, Unreachable):
        return "KubernetesUnreachable"
    return "Unavailable" if isinstance(error, Transient) else "Refused"


def _jitter() -> float:
    return random.uniform(1 - RESYNC_JITTER, 1 + RESYNC_JITTER)
