"""`python -m local.up`: start the whole system on this machine, and stop it again on Ctrl-C.

Exit status: 0 stopped when asked to, 1 something died or was not ready in time, 2 it cannot start as asked.
"""

import os
import signal
import sys


def run() -> int:
    """Import the rest, which takes a while, and run it."""
    from local.stack import main

    return main(os.environ)


if __name__ == "__main__":
    # Until there is an event loop, Ctrl-C ends the process: Python would print where its imports were interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run())
