"""One stack a port base: a second `make up` is recognised, and a crashed one leaves nothing to clean up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import LocalError


class AlreadyRunningError(LocalError):
    """Another supervisor holds the stack of this port base."""


@contextmanager
def only_one(path: Path, base: int) -> Iterator[None]:
    """Hold the lock file at `path`; the operating system lets go of it however this process ends."""
    # The emulated AWS keeps its signing keys below; they are nobody else's business.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(_already_running(path, base)) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _already_running(path: Path, base: int) -> str:
    pid = path.read_text(encoding="ascii").strip() or "unknown"
    return (
        f"The stack already runs here (process {pid}): http://localhost:{base}\n"
        f"Stop it with Ctrl-C in its terminal or `kill {pid}`, "
        f"or start a second one beside it: LOCAL_PORT_BASE={another_base(base)} make up"
    )


def another_base(base: int) -> int:
    """A port base to suggest whose ports do not overlap those of `base`."""
    return 18_080 if base != 18_080 else 28_080
