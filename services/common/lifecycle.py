"""Whether the service is ready, draining or to stop, and why: what /readyz tells and shutdown waits on."""

import asyncio
import logging
from collections.abc import Callable

from services.common.background import Background
from services.common.telemetry.faults import Fault, FaultSource
from services.common.telemetry.metrics import READY

logger = logging.getLogger(__name__)

ReadyCheck = Callable[[], str | None]
"""Answers None when all is well, else a sentence that names what is missing and what to do."""

EXIT_CLEAN = 0
EXIT_FAILED = 1
EXIT_FORCED = 3


class Lifecycle:
    """One a process. Components add checks at start; signals and failed background tasks ask for the stop."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.hurried = asyncio.Event()
        self.exit_status = EXIT_CLEAN
        self.background = Background(self.fail)
        self._started = False
        self._checks: dict[str, ReadyCheck] = {}
        self._warnings: dict[str, ReadyCheck] = {}
        self._fault_sources: list[FaultSource] = []

    def add_check(self, name: str, check: ReadyCheck) -> None:
        """Have /readyz ask `check`."""
        self._checks[name] = check

    def add_warning(self, name: str, check: ReadyCheck) -> None:
        """Have /readyz report what `check` answers without making the service unready."""
        self._warnings[name] = check

    def add_faults(self, source: FaultSource) -> None:
        """Have /readyz report the faults that `source` answers without making the service unready."""
        self._fault_sources.append(source)

    def started(self) -> None:
        """Say that every part is up and the listener is open."""
        self._started = True

    def not_ready(self) -> dict[str, str]:
        """Reasons why no work should come, by component; empty when ready."""
        reasons = {name: reason for name, check in self._checks.items() if (reason := check())}
        if self.stopping.is_set():
            reasons["service"] = "draining: it was told to stop"
        elif not self._started:
            reasons["service"] = "starting"
        READY.set(0 if reasons else 1)
        return reasons

    def warnings(self) -> dict[str, str]:
        """What does not work although the service is ready, by component."""
        return {name: reason for name, check in self._warnings.items() if (reason := check())}

    def faults(self) -> list[Fault]:
        """What is wrong with the calls that the service makes."""
        return [fault for source in self._fault_sources for fault in source()]

    def stop(self) -> None:
        """Ask for an orderly stop; asked again, it hurries."""
        if self.stopping.is_set():
            logger.warning("told to stop again: hurrying", extra={"action": "stop"})
            self.hurried.set()
            return
        logger.info("told to stop: draining", extra={"action": "stop"})
        self.stopping.set()

    def fail(self) -> None:
        """Stop because something that the service cannot do without has ended."""
        self.exit_status = EXIT_FAILED
        self.stopping.set()

    def forced(self) -> None:
        """Record that the drain did not end in good order."""
        if self.exit_status == EXIT_CLEAN:
            self.exit_status = EXIT_FORCED
