"""Run a module that stops when its parent process ends.

The supervisor starts every child with `python -m local.parent_watch FD MODULE [ARGUMENT ...]`. FD is the read end of a
pipe; only the supervisor has its write end, and never writes. When the supervisor ends, even by SIGKILL, the operating
system closes the write end. The child then reads end-of-file and stops itself. This works on Linux and macOS, for any
module, and costs one thread.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 5.0
"""How long a child may take to stop after the supervisor has ended."""


def stop_when_parent_ends(fd: int, grace_seconds: float = GRACE_SECONDS) -> None:
    """Block until the pipe ends, then send SIGTERM to this process, then end it."""
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(1)


def main(argv: list[str]) -> None:
    fd, module, *arguments = argv
    # Processes that the child starts must not inherit the pipe.
    os.set_inheritable(int(fd), False)  # noqa: FBT003 - positional-only
    threading.Thread(target=stop_when_parent_ends, args=(int(fd),), name="parent watch", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
