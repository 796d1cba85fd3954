"""The routes of the API as typed calls, each tried once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from notification_api.client.http import Answer, HttpClient
from notification_api.client.notification import Notification, parse_notification
from notification_api.client.tasks import TaskResult, TaskStatus


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """The answer of `GET /notifications`."""

    notifications: Sequence[Notification]
    """Oldest first."""
    cursor: str | None
    read_until_ms: int
    """The read marker; 0 without one."""
    served_at: float | None


class Routes:
    """Calls the services as one user."""

    def __init__(self, http: HttpClient, url: str, ingest_url: str | None = None) -> None:
        self._http = http
        self._url = _base_url(url)
        self._ingest_url = self._url if ingest_url is None else _base_url(ingest_url)

    async def submit(self, body: Mapping[str, Any], idempotency_key: str) -> str:
        """`POST /task`: return the task's id."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = await self._http.call("POST", f"{self._ingest_url}/task", body=body, headers=headers)
        return answer.required("taskId", str)

    async def task(self, task_id: str) -> TaskStatus:
        """`GET /task/{taskId}`."""
        return _task_status(await self._http.call("GET", self._task_url(task_id)))

    async def result(self, task_id: str) -> TaskResult:
        """`GET /task/{taskId}/result`."""
        answer = await self._http.call("GET", f"{self._task_url(task_id)}/result")
        message = answer.required("message", str)
        return TaskResult(task_id=task_id, message=message, data=answer.fields.get("data"))

    async def cancel(self, task_id: str) -> TaskStatus:
        """`POST /task/{taskId}/cancel`."""
        return _task_status(await self._http.call("POST", f"{self._task_url(task_id)}/cancel"))

    async def history(self, cursor: str | None) -> HistoryPage:
        """`GET /notifications`, after what the cursor contains."""
        query = {} if cursor is None else {"after": cursor}
        answer = await self._http.call("GET", f"{self._url}/notifications", query=query)
        parsed = [parse_notification(each) for each in answer.required("notifications", list)]
        next_cursor, read_until = answer.fields.get("cursor"), answer.fields.get("readUntil")
        return HistoryPage(
            [each for each in parsed if each is not None],
            next_cursor if isinstance(next_cursor, str) else None,
            read_until if isinstance(read_until, int) else 0,
            answer.served_at,
        )

    async def mark_read(self, until_ms: int) -> int:
        """`POST /notifications/read`: return where the read marker is."""
        answer = await self._http.call("POST", f"{self._url}/notifications/read", body={"until": until_ms})
        return answer.required("readUntil", int)

    async def token(self) -> Answer:
        """`GET /token`."""
        return await self._http.call("GET", f"{self._url}/token")

    def _task_url(self, task_id: str) -> str:
        return f"{self._url}/task/{quote(task_id, safe='')}"


def _base_url(url: str) -> str:
    """:raises ValueError: when it is not an absolute HTTP URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"The URL of the API must be like https://api.example.com, not {url!r}")
    return url.rstrip("/")


def _task_status(answer: Answer) -> TaskStatus:
    task_id, status = answer.required("taskId", str), answer.required("status", str)
    return TaskStatus.from_fields(task_id, status, answer.fields)
