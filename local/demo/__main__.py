"""`python -m local.demo`: sign up, sign in, subscribe, post N tasks (default 3) and print their news.

Exit status: 0 when every task has finished and was told exactly once, 1 when not, 2 when it cannot start as asked.
"""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process: Python would print where they were interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Mapping

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from local.demo.errors import DemoError
from local.demo.run import demonstrate
from local.environment import shielded
from local.errors import LocalError
from local.ports import BadPortBaseError, ports_from

DEFAULT_COUNT = 3
HIGHEST_COUNT = 10_000


class BadCountError(LocalError):
    """N is not a number of tasks."""


def main(environ: Mapping[str, str]) -> int:
    try:
        count, page_url = count_from(environ), f"http://localhost:{ports_from(environ).page}"
    except (BadCountError, BadPortBaseError) as error:
        return complain(error, 2)
    keep_to_this_machine()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        asyncio.run(demonstrate(page_url, count))
    except KeyboardInterrupt:
        return complain("Interrupted.", 1)
    except BrokenPipeError:
        return 1  # nobody reads on, as behind `| head`
    except TimeoutError:
        return complain("The stack took too long to answer.", 1)
    except (DemoError, aiohttp.ClientError, BotoCoreError, ClientError) as error:
        return complain(error, 1)
    except ExceptionGroup as group:
        return complain(first(group), 1)
    return 0


def count_from(environ: Mapping[str, str]) -> int:
    raw = environ.get("N", "").strip() or str(DEFAULT_COUNT)
    if raw.isascii() and raw.isdigit() and 1 <= int(raw[: len(str(HIGHEST_COUNT)) + 1]) <= HIGHEST_COUNT:
        return int(raw)
    raise BadCountError(f"N must be a whole number from 1 to {HIGHEST_COUNT}, not {raw!r}: N=20 make demo")


def keep_to_this_machine() -> None:
    """Take the developer's proxies and AWS profile out of the SDKs' sight."""
    kept = shielded(os.environ)
    os.environ.clear()
    os.environ.update(kept)


def first(group: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first; a bug of ours is raised on, with its traceback."""
    error = group.exceptions[0]
    if isinstance(error, ExceptionGroup):
        return first(error)
    if isinstance(error, DemoError | aiohttp.ClientError | TimeoutError | BrokenPipeError):
        return error
    raise group


def complain(what: object, status: int) -> int:
    print(what, file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_status = main(os.environ)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # The thread that reads the news never ends; the interpreter's own end would tear the SDK down around it.
    os._exit(exit_status)
