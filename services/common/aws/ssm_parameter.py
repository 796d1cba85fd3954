"""A secret in SSM Parameter Store, cached and refreshed in the background."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from notification_api import TransientError
from services.common.aws.ssm_parameter_error import FAILURES, EmptyParameterError, cause, fault_cause, outcome
from services.common.refresh import refresh_periodically
from services.common.telemetry.faults import Fault
from services.common.telemetry.metrics import PARAMETER_READS

if TYPE_CHECKING:
    from types_aiobotocore_ssm.client import SSMClient

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
DEADLINE_SECONDS = 5.0
FORCED_REFRESH_SECONDS = 5.0
"""The shortest time between two forced reads."""


class ParameterUnavailable(TransientError):
    """The parameter was never read. The message contains its name and the cause, never a value."""

    retry_after_seconds = 5.0


class SsmParameter:
    """A SecureString parameter. The owner has to run `run()`.

    While SSM is unavailable, the last valid value is used.

    :param check: raises `PermanentError` for an invalid value, without quoting it. The value then counts as not read:
        it does not replace a valid one, and the parameter is read again soon.
    """

    def __init__(
        self,
        ssm: "SSMClient",
        name: str,
        *,
        check: Callable[[str], object] = lambda _value: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._ssm = ssm
        self._check = check
        self._clock = clock
        self._sleep = sleep
        self._value: str | None = None
        self._modified_at = math.nan
        self._changes = 0
        self._cause = "it has not been read yet"
        self._error: Exception | None = None
        self._reading = asyncio.Lock()
        self._forced_at = float("-inf")

    def __repr__(self) -> str:
        return f"SsmParameter({self.name!r}, {'loaded' if self._value else 'not loaded'})"

    async def run(self) -> None:
        """Read the value now and every 5 minutes, until cancelled."""
        await refresh_periodically(self._refresh, every_seconds=REFRESH_SECONDS, sleep=self._sleep)

    def value(self) -> str:
        """Return the last valid value.

        :raises ParameterUnavailable: when there is none yet.
        """
        if self._value is None:
            raise ParameterUnavailable(f"The parameter {self.name} cannot be read: {self._cause}")
        return self._value

    def age_seconds(self) -> float:
        """Return the age of the value in SSM; NaN if it is unknown."""
        return time.time() - self._modified_at

    def readiness_problem(self) -> str | None:
        """Return None if there is a value, else the reason and what to do."""
        return None if self._value else f"The parameter {self.name} cannot be read: {self._cause}."

    def faults(self) -> list[Fault]:
        """Return the failure of the last read, if it failed; blocking while there is no value."""
        if self._error is None:
            return []
        stale = "" if self._value is None else "; the last value read is used"
        message = f"the parameter {self.name} cannot be read: {self._cause}{stale}"
        return [Fault(fault_cause(self._error), message, is_blocking=self._value is None)]

    async def refresh_now(self) -> bool:
        """Read the value again, because it was rejected.

        It is read at most once in 5 s; concurrent callers share one read. On a failure the old value stays.

        :return: whether the value changed during the call.
        """
        seen = self._changes
        async with self._reading:
            if self._clock() - self._forced_at >= FORCED_REFRESH_SECONDS:
                self._forced_at = self._clock()
                await self._read()
        return self._changes != seen

    async def _refresh(self) -> bool:
        async with self._reading:
            return await self._read()

    async def _read(self) -> bool:
        try:
            value, modified_at = await self._fetch()
        except FAILURES as error:
            self._failed(error)
            return False
        PARAMETER_READS.labels("ok").inc()
        self._error = None
        self._modified_at = modified_at
        if value != self._value:
            self._value = value
            self._changes += 1
            logger.info("the parameter has a new value", extra={"action": "parameter", "parameter": self.name})
        return True

    def _failed(self, error: Exception) -> None:
        self._cause, self._error = cause(error), error
        PARAMETER_READS.labels(outcome(error)).inc()
        logger.warning(
            "the parameter could not be read",
            extra={
                "action": "parameter",
                "parameter": self.name,
                "error": self._cause,
                "stale": self._value is not None,
            },
        )

    async def _fetch(self) -> tuple[str, float]:
        """Return the value and the time of its change in SSM, in epoch seconds."""
        # The client's timeouts and retries may add up to minutes.
        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await self._ssm.get_parameter(Name=self.name, WithDecryption=True)
        parameter = answer["Parameter"]
        # `echo` adds a newline to a value that is piped into a file.
        value = parameter["Value"].strip()
        if not value:
            raise EmptyParameterError
        self._check(value)
        modified = parameter.get("LastModifiedDate")
        return value, math.nan if modified is None else modified.timestamp()
