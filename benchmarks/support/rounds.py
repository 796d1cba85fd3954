"""Rounds: what is compared is measured in turns, so that a busy moment of the machine falls on both."""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(what: str, total: int) -> "tqdm[Any]":
    """A progress bar on standard error, so that standard output holds the result alone."""
    return tqdm(total=total, desc=what, unit="run", leave=False, dynamic_ncols=True)


def median_of(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def spread(values: Iterable[float]) -> str:
    """Least to most, for the column that says how a figure was measured."""
    found = sorted(values)
    return f"{found[0]:.3g} to {found[-1]:.3g} in {len(found)} turns"


def run_in_folder(measure: Callable[[Path], Awaitable[T]]) -> T:
    """Run `measure` with a folder for logs and configuration that is gone afterwards.

    SIGTERM and Ctrl-C stop every process that it started before they end this one.
    """

    async def main() -> T:
        task = asyncio.ensure_future(measure(folder))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a developer's own account is never reached
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        try:
            return asyncio.run(main())
        except (asyncio.CancelledError, KeyboardInterrupt):
            sys.exit("interrupted")
