"""A client inside the cluster: posts tasks and fetches tokens until /control/stop exists, then prints the results.

Runs in the product's image from a ConfigMap, so it needs nothing but aiohttp. It calls the Services as an ingress
would: with connections that are kept alive.
"""

import asyncio
import collections
import json
import os
import pathlib
import secrets
import sys
import time

import aiohttp

POSTS_PER_SECOND = 10.0
TOKENS_PER_SECOND = 4.0
STOP = pathlib.Path("/control/stop")
LONGEST_SECONDS = 300.0


class Load:
    """The requests sent and their results."""

    def __init__(self, http: aiohttp.ClientSession, id_token: str) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.task_ids: list[str] = []
        self._http = http
        self._headers = {"Authorization": f"Bearer {id_token}"}

    async def post(self) -> None:
        # No retry, so every accepted task is accepted once.
        body = {"data": secrets.token_hex(4)}
        async with self._http.post(f"{os.environ['TASK_URL']}/task", json=body, headers=self._headers) as answer:
            self.statuses[f"POST {answer.status}"] += 1
            if answer.status == 202:
                self.task_ids.append((await answer.json())["taskId"])

    async def fetch(self) -> None:
        async with self._http.get(f"{os.environ['TOKEN_URL']}/token", headers=self._headers) as answer:
            self.statuses[f"GET {answer.status}"] += 1
            await answer.read()

    async def tried(self, call: str) -> None:
        try:
            await (self.post() if call == "POST" else self.fetch())
        except (aiohttp.ClientError, TimeoutError) as error:
            self.statuses[f"{call} {type(error).__name__}"] += 1


async def main() -> None:
    end = time.monotonic() + LONGEST_SECONDS
    id_token = await asyncio.to_thread(pathlib.Path("/run/user/token").read_text)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http, asyncio.TaskGroup() as group:
        load = Load(http, id_token)

        async def steadily(call: str, per_second: float) -> None:
            while not await asyncio.to_thread(STOP.exists) and time.monotonic() < end:
                group.create_task(load.tried(call))
                await asyncio.sleep(1 / per_second)

        await asyncio.gather(steadily("POST", POSTS_PER_SECOND), steadily("GET", TOKENS_PER_SECOND))
    sys.stdout.write(json.dumps({"statuses": load.statuses, "taskIds": load.task_ids}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
