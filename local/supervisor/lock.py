"""One stack for each port base: a lock file that the operating system releases, also after a crash."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import LocalError


class AlreadyRunningError(LocalError):
    """The stack of this port base is running already."""


@contextmanager
def hold_lock(path: Path, base: int) -> Iterator[None]:
    """Hold the lock file at `path` for the duration of the context.

    :raises AlreadyRunningError: when another process holds it.
    """
    # Only the owner may read this folder: the emulated AWS stores its signing keys in it.
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
        f"The stack is already running (process {pid}): http://localhost:{base}\n"
        f"Stop it with Ctrl-C in its terminal or `kill {pid}`, "
        f"or start a second one: LOCAL_PORT_BASE={another_base(base)} make up"
    )


def another_base(base: int) -> int:
    """Suggest a port base whose ports do not overlap those of `base`."""
    return 18_080 if base != 18_080 else 28_080
