"""The child process of `tests.support.processes.ministack`: MiniStack on a socket it inherits.

Started as `python -P ministack_child.py <fd>`. Two reasons for not calling `python -m ministack`: with an
inherited socket no other process can take the port between choosing and binding it, and the process ends by itself
when its standard input closes, that is when the test run ends in whatever way, SIGKILL included.
"""

import asyncio
import os
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin: a buffered reader blocked in a thread upsets the interpreter's end
        pass
    os._exit(0)


def main(listening_fd: int) -> None:
    """Serve MiniStack on an inherited listening socket until SIGTERM or until stdin closes."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{listening_fd}"]
    config.keep_alive_timeout = 75  # what `python -m ministack` sets
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main(int(sys.argv[1]))
