"""`python -m local.up`: run the whole system on this machine until Ctrl-C.

Exit status: 0 stopped by a signal, 1 a process died or was not ready in time, 2 a setting is invalid, a port is in use
or the stack is running already.
"""

import os
import signal
import sys


def run() -> int:
    """Import the stack, which takes a while, and run it."""
    from local.stack import main

    return main(os.environ)


if __name__ == "__main__":
    # Until there is an event loop, Ctrl-C ends the process at once: Python would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run())
