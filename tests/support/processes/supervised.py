"""Run the supervisor as a process, with stub processes or the real stack, and read its output."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes.child import Child, python

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
