"""Reconciles one Stage: provisions it, corrects drift, and removes it once it is deleted."""

import asyncio
import logging
import random
import time

from k8s.operator.api.client import Conflict, Refused, Unreachable
from k8s.operator.api.stage import StageObject, StageRef, stage_object
from k8s.operator.api.status import ConditionType, StageStatus
from k8s.operator.context import Context
from k8s.operator.controller.finalize import finalize
from k8s.operator.controller.provision import add_finalizer, provision
from k8s.operator.health.problems import Problem
from k8s.operator.health.stage_health import StageHealth
from k8s.operator.metrics import LAST_RECONCILE, RECONCILE_SECONDS, RECONCILES, remove_scaling_series
from k8s.operator.resources.errors import NotOwnedError
from k8s.operator.resources.spec import StageOutputs
from notification_api import PermanentError, TransientError
from services.common.backoff import Backoff

logger = logging.getLogger(__name__)

CONFLICT_SECONDS = 0.2
REMOVAL_POLL_SECONDS, MAX_REMOVAL_POLL_SECONDS = 0.5, 5.0
RESYNC_JITTER = 0.1
_STATE_UNKNOWN = {"Unavailable", "KubernetesUnreachable", "InternalError"}
"""Reasons of failures after which provisioned resources may be as they should be."""


class Reconciler:
    """Reconciles one Stage. `stage` is as last read; `outputs` is None until the Stage has been provisioned."""

    def __init__(self, context: Context, stage: StageObject, status: StageStatus, health: StageHealth) -> None:
        self.stage = stage
        self.outputs: StageOutputs | None = None
        self.requested = asyncio.Event()
        """Set to reconcile before the next resync."""
        self.scaling_lock = asyncio.Lock()
        """Held during a removal and while the processors are scaled, so that no processor starts during a removal."""
        self._context = context
        self._status = status
        self._health = health
        self._environment: dict[str, str] | None = None
        self._first_checksum = ""
        self._backoff = Backoff()
        self._removal_poll = Backoff(REMOVAL_POLL_SECONDS, MAX_REMOVAL_POLL_SECONDS)
        self._reported: set[str] = set()

    @property
    def ref(self) -> StageRef:
        return self.stage.ref

    @property
    def environment(self) -> dict[str, str] | None:
        """Wanted data of the ConfigMap with the outputs; None before the first reconcile of this process."""
        return self._environment

    @property
    def first_checksum(self) -> str:
        """Checksum of the outputs with which the pods started; empty before the first reconcile of this process."""
        return self._first_checksum

    async def reconcile_once(self) -> float | None:
        """Read the Stage and bring it into the wanted state.

        :returns: seconds until the next reconcile; None when the Stage no longer exists.
        """
        self.requested.clear()
        kind = "read"
        try:
            body = await self._context.kubernetes.get(self.ref.path)
            if body is None or body["metadata"]["uid"] != self.ref.uid:
                return None
            self.stage = stage_object(body)
            kind = "remove" if self.stage.is_deleting else "provision"
            with RECONCILE_SECONDS.labels(kind).time():
                pause = await self._provision_or_remove()
            RECONCILES.labels(kind, "ok").inc()
            return pause
        except Conflict as error:
            RECONCILES.labels(kind, "conflict").inc()
            return await self._failed("Conflict", str(error), at_least=CONFLICT_SECONDS)
        except (TransientError, PermanentError) as error:
            RECONCILES.labels(kind, _reason(error)).inc()
            return await self._failed(_reason(error), str(error), getattr(error, "retry_after_seconds", 0.0))
        except Exception as error:
            RECONCILES.labels(kind, "error").inc()
            logger.exception("a reconcile failed unexpectedly", extra={"action": "reconcile"})
            return await self._failed("InternalError", f"{type(error).__name__}: see the operator's log")

    async def _provision_or_remove(self) -> float | None:
        # Retries have slots of their own: calls that hang must not delay stages that reconcile well.
        slots = self._context.retry_slots if self._backoff.is_failing else self._context.reconcile_slots
        if not self.stage.is_deleting:
            async with slots:
                return await self._provision()
        async with self.scaling_lock, slots:
            return await self._remove()

    @property
    def _is_provisioned(self) -> bool:
        """Whether this process or an earlier one has provisioned the Stage."""
        return self.outputs is not None or bool(self.stage.status.get("resources"))

    async def _provision(self) -> float:
        await add_finalizer(self._context, self.stage)
        result = await provision(self._context, self.stage, self._set_environment, self._first_checksum)
        self.outputs, self._first_checksum = result.outputs, result.first_checksum
        generation = self.stage.generation
        warnings = "; ".join(result.notices)
        message = warnings or "queues, user pool, client and cache are in the wanted state"
        self._status.set(ConditionType.PROVISIONED, "Provisioned", message, status=True, generation=generation)
        problems = (Problem("Warnings", warnings),) if warnings else ()
        await self._health.report_provisioning(self.stage, problems, is_provisioned=True)
        self._status.set_resources(result.outputs)
        self._status.set_observed(generation, "Retain" if self.stage.retains else "Delete")
        await self._status.flush(self._context.kubernetes)
        LAST_RECONCILE.labels(*self.stage.labels).set(time.time())
        self._backoff.reset()
        return self._context.settings.resync_seconds * random.uniform(1 - RESYNC_JITTER, 1 + RESYNC_JITTER)

    def _set_environment(self, data: dict[str, str]) -> None:
        self._environment = data

    async def _remove(self) -> float | None:
        # Only at the start: later reasons say more, and the condition would alternate between the two.
        if not self._status.has(ConditionType.READY, status=False):
            await self._health.report_removal(self.stage, "Deleting", "the stage is being removed")
            await self._status.flush(self._context.kubernetes)
        message = "the Stage is being deleted, so its processors are no longer scaled"
        generation = self.stage.generation
        if self._status.set(ConditionType.SCALING, "Deleting", message, status=False, generation=generation):
            remove_scaling_series(*self.stage.labels)
        pending = await finalize(self._context, self.stage, self._reported)
        self._backoff.reset()
        if pending is None:
            return None
        await self._health.report_removal(self.stage, pending.reason, pending.message)
        await self._status.flush(self._context.kubernetes)
        return self._removal_poll.next_seconds(pending.retry_after_seconds)

    async def _failed(self, reason: str, message: str, at_least: float = 0.0) -> float:
        """Report a failure in log and conditions. Returns the seconds until the retry."""
        pause = self._backoff.next_seconds(at_least)
        logger.warning(message, extra={"action": "reconcile", "reason": reason, "retry_seconds": round(pause, 1)})
        if reason == "Conflict" and pause < 1:
            return pause
        generation = self.stage.generation
        if not self.stage.is_deleting:
            status = None if self._is_provisioned and reason in _STATE_UNKNOWN else False
            self._status.set(ConditionType.PROVISIONED, reason, message, status=status, generation=generation)
        try:
            if self.stage.is_deleting:
                await self._health.report_removal(self.stage, "RemovalFailed", message)
            problems = (Problem(reason, message),)
            await self._health.report_provisioning(self.stage, problems, is_provisioned=self._is_provisioned)
            await self._status.flush(self._context.kubernetes)
        except (Unreachable, Refused) as error:
            logger.warning("the status cannot be written", extra={"action": "status", "error": str(error)})
        return pause


def _reason(error: Exception) -> str:
    if isinstance(error, NotOwnedError):
        return "NotOwned"
    if isinstance(error, Unreachable):
        return "KubernetesUnreachable"
    return "Unavailable" if isinstance(error, TransientError) else "Refused"
