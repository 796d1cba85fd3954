"""Imported at the start of every Python in the image (first_process.pth), before the program's own imports.

Linux drops a signal to a container's first process unless it is handled, and a program handles SIGTERM only once its
imports are done. A pod that is deleted in that second would sit out its whole grace period (up to a minute) and then be
killed. The program's own handler takes this one's place.
"""

import os
import signal

if os.getpid() == 1:
    # By os._exit: nothing has begun yet, and an exception would be printed by whatever import it hits.
    signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))
