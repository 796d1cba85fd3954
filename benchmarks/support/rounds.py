"""Rounds: subjects are measured alternately, so that a busy moment of the machine affects all of them."""

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


def progress_bar(description: str, total: int) -> "tqdm[Any]":
    """Show progress on standard error, so that standard output has only the result."""
    return tqdm(total=total, desc=description, unit="run", leave=False, dynamic_ncols=True)


def median_of(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(list(values))


def spread(values: Iterable[float]) -> str:
    """Format the range, for the note of a figure."""
    found = sorted(values)
    return f"{found[0]:.3g} to {found[-1]:.3g} in {len(found)} rounds"


def run_in_folder(measure: Callable[[Path], Awaitable[T]]) -> T:
    """Run `measure` with a temporary folder for logs and configuration.

    SIGTERM and Ctrl-C first stop every process that it has started.
    """

    async def main() -> T:
        task = asyncio.ensure_future(measure(folder))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # never use a developer's account
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        try:
            return asyncio.run(main())
        except (asyncio.CancelledError, KeyboardInterrupt):
            sys.exit("interrupted")
