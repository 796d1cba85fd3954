"""Saves MiniStack's state soon after each change. MiniStack itself saves it only when it is stopped in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import ministack.app
from ministack.core import persistence

from local.aws.guard import Application, Message, Receive, Send

SAVE_SECONDS = 1.0
"""So much is lost at most if the process is killed, unless saving takes long."""
PAUSE_FACTOR = 10.0
"""Saving takes at most a tenth of the time: the pause is as many times as long as the last save took."""
_READING = ("Describe", "Get", "List", "ReceiveMessage")
"""Operations that change nothing. A receive that is lost only makes the message visible again."""


class Saver:
    """An ASGI application in front of MiniStack's: it notes which requests may have changed the state."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._changed = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with _stopped_at_shutdown(self._save_regularly(), receive) as receiving:
                await self._app(scope, receiving, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if _may_change(scope):
                self._changed.set()

    async def _save_regularly(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            await asyncio.sleep(SAVE_SECONDS)
            self._changed.clear()
            started_at = loop.time()
            persistence.save_all(ministack.app._build_persistence_save_dict())
            await asyncio.sleep((loop.time() - started_at) * PAUSE_FACTOR)


@contextlib.asynccontextmanager
async def _stopped_at_shutdown(work: Coroutine[object, object, None], receive: Receive) -> AsyncIterator[Receive]:
    """Run `work` until the server shuts down, which MiniStack answers by saving everything itself."""
    task = asyncio.create_task(work, name="save")

    async def receiving() -> Message:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            task.cancel()
        return message

    try:
        yield receiving
    finally:
        task.cancel()


def _may_change(scope: Message) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    targets = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-amz-target"]
    operation = targets[0].rpartition(".")[2] if targets else ""
    return not operation.startswith(_READING)


def forget_unreadable(folder: Path) -> list[str]:
    """Move away the files of the state that cannot be read, on which MiniStack would fail, and return their names."""
    unreadable = []
    for path in folder.glob("*.json"):
        try:
            is_readable = persistence.load_state(path.stem) is not None
        except Exception:  # noqa: BLE001 — whatever a damaged file causes
            is_readable = False
        if not is_readable:
            path.replace(path.with_suffix(".unusable"))
            unreadable.append(path.stem)
    return unreadable
