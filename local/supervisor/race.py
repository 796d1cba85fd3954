"""Waiting for whichever happens first."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def first_of(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> A | B:
    """Run both until one ends, cancel the other and wait for its end.

    Returns the result, or raises the error, of the one that ended; of `one` if both did.
    """
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
    return second.result() if first.cancelled() else first.result()
