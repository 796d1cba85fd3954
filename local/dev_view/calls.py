"""HTTP calls of the emulators."""

from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

TIMEOUT = aiohttp.ClientTimeout(total=5)


class UnavailableError(Exception):
    """A part of the stack does not answer, or refuses. The message is shown."""


async def call(session: aiohttp.ClientSession, called: str, method: str, url: str, **options: Any) -> Any:
    """Return the JSON of an answer.

    :param called: what is called, for the message.
    :param options: of aiohttp's `request`, such as `headers`.
    :raises UnavailableError: when there is none.
    """
    try:
        async with session.request(method, url, timeout=TIMEOUT, **options) as response:
            answer = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnavailableError(f"{called} does not answer: {str(error) or type(error).__name__}.") from error
    if response.status != HTTPStatus.OK:
        raise UnavailableError(f"{called} answered {response.status}: {answer.decode(errors='replace')}")
    return orjson.loads(answer)
