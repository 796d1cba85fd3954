"""The child process of `tests.support.processes.ministack`: MiniStack on a socket it inherits.

Unlike with `python -m ministack`, no other process can take the port between choosing and binding it.
"""

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app


def main(listening_fd: int) -> None:
    """Serve MiniStack on an inherited listening socket until SIGTERM."""
    config = Config()
    config.bind = [f"fd://{listening_fd}"]
    config.keep_alive_timeout = 75  # what `python -m ministack` sets
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main(int(sys.argv[1]))
