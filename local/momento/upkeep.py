"""What goes on without a call: heartbeats, and the removal of expired items."""

import asyncio

from local.momento.calls.dispatch import Service

SWEEP_SECONDS = 30.0
_STREAMS_AT_ONCE = 200


class Upkeep:
    """`settings_changed` makes a new heartbeat interval hold at once."""

    def __init__(self, service: Service) -> None:
        self.settings_changed = asyncio.Event()
        self._service = service

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._heartbeats())
            tasks.create_task(self._sweeps())

    async def _heartbeats(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._service.settings.heartbeat_seconds):
                    await self.settings_changed.wait()
                self.settings_changed.clear()
            except TimeoutError:
                await self._beat()

    async def _beat(self) -> None:
        if self._service.settings.heartbeats_silenced:
            return
        streams = [
            stream for _, cache in self._service.caches for _, topic in cache.topics for stream in topic.subscriptions
        ]
        for index, stream in enumerate(streams):
            stream.heartbeat()
            if index % _STREAMS_AT_ONCE == 0:
                await asyncio.sleep(0)  # thousands of streams must not hold up a publish

    async def _sweeps(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for _, cache in self._service.caches:
                cache.items.sweep()
