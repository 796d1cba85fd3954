"""Imported at the start of every Python in the image (first_process.pth), before the program's own imports.

Linux drops a signal to a container's first process unless it is handled, and a program handles SIGTERM only once its
imports are done. A pod that is deleted before would wait for its grace period (up to a minute) and then be killed.
The program's own handler replaces this one.
"""

import os
import signal

if os.getpid() == 1:
    # By os._exit: nothing has begun yet, and an exception would be raised within an import and printed.
    signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))
