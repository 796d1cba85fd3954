"""`python -m local.demo`: sign up, sign in, subscribe, submit N tasks (default 3) and print their notifications.

Then it shows task types, progress, a failure, a large result, a cancelled and an expired task.

Exit status: 0 when every task ended as it should and the N tasks were notified, 1 when not, 2 when a
setting is invalid.
"""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process at once: Python would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import io
import os
import sys
from collections.abc import Mapping

import aiohttp

from local.demo.errors import DemoError
from local.demo.run import run_demo
from local.demo.sign_up import NotRunningError
from local.environment import base_environment
from local.errors import LocalError
from local.ports import InvalidPortBaseError, ports_from
from notification_api.client import NotificationApiError

DEFAULT_COUNT = 3
MAX_COUNT = 10_000
FAILURES = (DemoError, NotRunningError, NotificationApiError, aiohttp.ClientError)


class InvalidCountError(LocalError):
    """N is not a number of tasks."""


def main(environ: Mapping[str, str]) -> int:
    try:
        count, url = count_from(environ), f"http://localhost:{ports_from(environ).page}"
    except (InvalidCountError, InvalidPortBaseError) as error:
        return fail(error, 2)
    remove_developers_settings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        asyncio.run(run_demo(url, count))
    except KeyboardInterrupt:
        return fail("Interrupted.", 1)
    except BrokenPipeError:
        return 1  # the reader has closed the pipe, as `| head` does
    except TimeoutError:
        return fail("The stack took too long to answer.", 1)
    except FAILURES as error:
        return fail(error, 1)
    except ExceptionGroup as group:
        return fail(first_failure(group), 1)
    return 0


def count_from(environ: Mapping[str, str]) -> int:
    raw = environ.get("N", "").strip() or str(DEFAULT_COUNT)
    if raw.isascii() and raw.isdigit() and 1 <= int(raw[: len(str(MAX_COUNT)) + 1]) <= MAX_COUNT:
        return int(raw)
    raise InvalidCountError(f"N must be a whole number from 1 to {MAX_COUNT}, not {raw!r}: N=20 make demo")


def remove_developers_settings() -> None:
    """Remove proxies, AWS profiles and the like from the environment, so that calls stay on this machine."""
    kept = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(kept)


def first_failure(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure. Any other error is a bug and is raised, with its traceback."""
    error = group.exceptions[0]
    if isinstance(error, ExceptionGroup):
        return first_failure(error)
    if isinstance(error, (*FAILURES, TimeoutError, BrokenPipeError)):
        return error
    raise group


def fail(reason: object, status: int) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_status = main(os.environ)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # Python would report it when it flushes again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(exit_status)
