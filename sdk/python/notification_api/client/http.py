"""The HTTP calls of a signed-in user."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from notification_api.client.config import StageConfig
from notification_api.client.errors import UnexpectedResponseError

MAX_SUBMIT_ATTEMPTS = 5
MAX_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DisposableToken:
    """The answer of `GET /token`: what it takes to subscribe to the user's own topic."""

    token: str = field(repr=False)
    cache_name: str
    topic: str


class StageClient:
    """Calls the services of a stage as one user."""

    def __init__(self, http: aiohttp.ClientSession, config: StageConfig, id_token: str) -> None:
        self._http = http
        self.config = config
        self.id_token = id_token

    async def get_token(self) -> DisposableToken:
        """Call `GET /token`.

        :raises UnexpectedResponseError: when it is not answered 200.
        """
        answer = await get_json(self._http, f"{self.config.token_url}/token", headers=self._authorization())
        return DisposableToken(answer["token"], answer["cacheName"], answer["topic"])

    async def submit_task(
        self,
        data: Any,
        *,
        task_type: str | None = None,
        ttl_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Call `POST /task` and return the task's id. Retries as `Retry-After` asks for.

        :param data: JSON; text that is not blank, or any other value but null.
        :param ttl_seconds: the task expires unless it starts within this time.
        :param idempotency_key: with it a retry never submits the task twice.
        :raises UnexpectedResponseError: when it is not answered 202 within 5 attempts.
        """
        headers = self._authorization()
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        url = f"{self.config.task_url}/task"
        options = {"type": task_type, "ttlSeconds": ttl_seconds}
        body = {"data": data} | {name: value for name, value in options.items() if value is not None}
        for attempt in range(1, MAX_SUBMIT_ATTEMPTS + 1):
            async with self._http.post(url, json=body, headers=headers) as answer:
                if answer.status == 202:
                    return str((await answer.json())["taskId"])
                if answer.status not in {429, 503} or attempt == MAX_SUBMIT_ATTEMPTS:
                    raise await unexpected("POST", url, answer)
                pause = _retry_after_seconds(answer.headers.get("Retry-After", ""))
            await asyncio.sleep(min(pause, MAX_PAUSE_SECONDS))
        raise AssertionError("the last attempt returns or raises")

    async def get_task(self, task_id: str) -> dict[str, Any]:
        """Call `GET /task/{taskId}` and return the task's status.

        :raises UnexpectedResponseError: when it is not answered 200.
        """
        status: dict[str, Any] = await get_json(self._http, self._task_url(task_id), headers=self._authorization())
        return status

    async def get_result(self, task_id: str) -> dict[str, Any]:
        """Call `GET /task/{taskId}/result` and return the whole `message` and `data` of a finished task.

        :raises UnexpectedResponseError: when it is not answered 200.
        """
        url = f"{self._task_url(task_id)}/result"
        result: dict[str, Any] = await get_json(self._http, url, headers=self._authorization())
        return result

    async def cancel_task(self, task_id: str) -> dict[str, Any]:
        """Call `POST /task/{taskId}/cancel` and return the answer: the task was `queued` or `running`.

        :raises UnexpectedResponseError: when it is not answered 202: 409 if the task has ended already.
        """
        url = f"{self._task_url(task_id)}/cancel"
        async with self._http.post(url, headers=self._authorization()) as answer:
            if answer.status != 202:
                raise await unexpected("POST", url, answer)
            accepted: dict[str, Any] = await answer.json()
            return accepted

    def _task_url(self, task_id: str) -> str:
        return f"{self.config.token_url}/task/{quote(task_id, safe='')}"

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.id_token}"}


def _retry_after_seconds(text: str) -> float:
    """Return the seconds that a service asks for; 1 without them, as in the HTTP date that a proxy may send."""
    return float(text) if text.isascii() and text.isdigit() else 1.0


async def get_json(http: aiohttp.ClientSession, url: str, *, headers: dict[str, str] | None = None) -> Any:
    """Get a JSON document.

    :raises UnexpectedResponseError: when it is not answered 200.
    """
    async with http.get(url, headers=headers) as answer:
        if answer.status != 200:
            raise await unexpected("GET", url, answer)
        return await answer.json()


async def unexpected(method: str, url: str, answer: aiohttp.ClientResponse) -> UnexpectedResponseError:
    """Describe an answer other than the expected one."""
    return UnexpectedResponseError(f"{method} {url} was answered {answer.status}: {await answer.text()}", answer.status)
