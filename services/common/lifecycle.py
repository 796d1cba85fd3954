"""The state of the process: starting, ready or draining. /readyz reports it, and the shutdown waits for it."""

import asyncio
import logging
from collections.abc import Callable

from services.common.background import Background
from services.common.telemetry.faults import Fault, FaultSource
from services.common.telemetry.metrics import READY

logger = logging.getLogger(__name__)

ReadinessCheck = Callable[[], str | None]
"""Returns None when ready, else a sentence that says what is missing and what to do."""

EXIT_CLEAN = 0
EXIT_FAILED = 1
EXIT_FORCED = 3


class Lifecycle:
    """One a process. Components add checks at start; signals and failed background tasks stop it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.force_stop = asyncio.Event()
        """Set by a second signal: end what runs at once."""
        self.exit_status = EXIT_CLEAN
        self.background = Background(self.fail)
        self._started = False
        self._checks: dict[str, ReadinessCheck] = {}
        self._warnings: dict[str, ReadinessCheck] = {}
        self._fault_sources: list[FaultSource] = []

    def add_check(self, name: str, check: ReadinessCheck) -> None:
        """Make the service unready while `check` returns a problem."""
        self._checks[name] = check

    def add_warning(self, name: str, check: ReadinessCheck) -> None:
        """Report the problem that `check` returns on /readyz, without making the service unready."""
        self._warnings[name] = check

    def add_faults(self, source: FaultSource) -> None:
        """Report the faults that `source` returns on /readyz, without making the service unready."""
        self._fault_sources.append(source)

    def mark_started(self) -> None:
        """Note that every component runs and the listener is open."""
        self._started = True

    def readiness_problems(self) -> dict[str, str]:
        """Return why the service is not ready, by component; empty when it is. Updates the metric."""
        reasons = {name: reason for name, check in self._checks.items() if (reason := check())}
        if self.stopping.is_set():
            reasons["service"] = "draining: the service is stopping"
        elif not self._started:
            reasons["service"] = "starting"
        READY.set(0 if reasons else 1)
        return reasons

    def warnings(self) -> dict[str, str]:
        """Return the problems that do not make the service unready, by component."""
        return {name: reason for name, check in self._warnings.items() if (reason := check())}

    def faults(self) -> list[Fault]:
        """Return the faults of the service's outgoing calls."""
        return [fault for source in self._fault_sources for fault in source()]

    def stop(self) -> None:
        """Start the drain; the second call forces the stop."""
        if self.stopping.is_set():
            logger.warning("second stop signal: forcing the stop", extra={"action": "stop"})
            self.force_stop.set()
            return
        logger.info("stop signal: draining", extra={"action": "stop"})
        self.stopping.set()

    def fail(self) -> None:
        """Stop, with a failure as exit status, because an essential part has ended."""
        self.exit_status = EXIT_FAILED
        self.stopping.set()

    def mark_forced(self) -> None:
        """Note that the drain cut work off, for the exit status."""
        if self.exit_status == EXIT_CLEAN:
            self.exit_status = EXIT_FORCED
