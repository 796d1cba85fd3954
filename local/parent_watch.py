"""Run a module in this process, tied to the life of the supervisor.

`python -m local.parent_watch FD MODULE [ARGUMENT ...]` is how the supervisor starts every child. FD is the
reading end of a pipe whose only writing end the supervisor holds and never writes to. However the
supervisor ends, even by SIGKILL, the operating system closes that end; the child then reads end-of-file and
stops itself. That works alike on Linux and macOS, for code that is not ours, and costs a thread instead of a
process.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 5.0
"""How long a child may take to stop cleanly once the supervisor is gone."""


def stop_when_supervisor_is_gone(fd: int, grace_seconds: float = GRACE_SECONDS) -> None:
    """Block until the pipe ends, then ask this process to stop, then end it."""
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(1)


def main(argv: list[str]) -> None:
    fd, module, *arguments = argv
    # What the child starts in its turn must not hold the pipe, nor be held by it.
    os.set_inheritable(int(fd), False)  # noqa: FBT003 - positional-only
    threading.Thread(target=stop_when_supervisor_is_gone, args=(int(fd),), name="leash", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
