"""Run the supervisor as a process, with stub processes or the real stack, and read its output."""

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.ports import Ports
from tests.support.processes.child import Child, python

READY_SECONDS = 90.0
END_SECONDS = 30.0
"""More than two stops of ten seconds, those of the system and of the emulators."""


class Supervised(Child):
    """A supervisor."""

    def ended(self, seconds: float = END_SECONDS) -> int:
        return super().ended(seconds)

    def pids(self) -> dict[str, int]:
        """The pids that the stubs have printed, by name."""
        return printed_pids(self.output())


def printed_pids(output: str) -> dict[str, int]:
    return {name: int(pid) for name, pid in re.findall(r"\b(\w{1,20}) started as (\d+)", output)}


@contextmanager
def supervised(
    module: str, arguments: Sequence[str] = (), extra: Mapping[str, str] | None = None
) -> Iterator[Supervised]:
    """Run `python -m module` during the block, with `extra` in its environment."""
    with (
        TemporaryDirectory() as folder,
        Supervised(python(module, *arguments), extra or {}, Path(folder) / "supervisor.log") as running,
    ):
        yield running


@contextmanager
def make_up(ports: Ports, extra: Mapping[str, str] | None = None) -> Iterator[Supervised]:
    """Run the real stack from when it is ready, and stop it in order at the end if it still runs."""
    with supervised("local.up", extra={"LOCAL_PORT_BASE": str(ports.base), **(extra or {})}) as running:
        running.wait_for_output(r"ready in \d", READY_SECONDS)
        yield running
        if running.is_running:
            running.signal(signal.SIGINT)
            assert running.ended() == 0
