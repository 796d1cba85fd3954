"""Failures of requests, as they are counted."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from notification_api import PermanentError, TransientError
from services.common.overload import OverloadedError


class BusyError(OverloadedError):
    """The share of the cache's operations for this kind of request is used up."""


@contextmanager
def failures_counted(requests: Counter) -> Iterator[None]:
    """Count a block that fails with the outcome `busy` or `unavailable`."""
    try:
        yield
    except BusyError:
        requests.labels("busy").inc()
        raise
    except (TransientError, PermanentError, asyncio.CancelledError):  # cancelled: by the request's time limit
        requests.labels("unavailable").inc()
        raise
