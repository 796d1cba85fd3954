"""The routes about tasks and the read marker, over HTTP, with the Momento emulator."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
from momento.responses import CacheDictionaryFetch, TopicSubscribe, TopicSubscriptionItem

from services.common.messages.notification import Notification, cancelled, expired, failed, finished
from services.common.messages.task_details import TaskDetails
from services.common.momento.app_context import MOMENTO
from services.common.momento.cancel_requests import CancelRequests
from services.common.momento.history import NEWEST, HistoryEntry, NotificationHistory
from services.common.momento.results import Results, compress
from services.common.momento.task_status import TaskStatuses
from services.common.web.problem_types import ProblemType
from services.token.tasks.cancel_view import MAX_OF_USER
from tests.support.served_app import Answer, Served, log_lines
from tests.support.served_service import PAGE
from tests.support.task_ids import uuid5, uuid7
from tests.support.token_service import Backends, ask, get
from tests.support.waiting import wait_until

DAY_SECONDS = 86_400.0


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def new_task() -> str:
    """The id of a task that was submitted just now."""
    return uuid7(now_ms())


@pytest.fixture
async def generous(backends: Backends) -> AsyncIterator[Served]:
    """A service that permits more operations than a test needs."""
    async with backends.service(TASK_OPERATIONS_PER_SECOND="1000") as service:
        yield service


async def conclude(service: Served, notification: Notification, user_id: str = "alice") -> None:
    """Write a final notification, as the processor does."""
    history = NotificationHistory(service.app[MOMENTO], DAY_SECONDS)
    await history.write(user_id, HistoryEntry(notification=notification), now_ms())


async def store_snapshot(service: Served, task_id: str, snapshot: Mapping[str, Any], user_id: str = "alice") -> None:
    await TaskStatuses(service.app[MOMENTO], DAY_SECONDS).write(user_id, task_id, snapshot)


async def store_result(service: Served, task_id: str, message: str, data: Any, user_id: str = "alice") -> None:
    stored = compress(orjson.dumps({"message": message, "data": data}))
    await Results(service.app[MOMENTO], DAY_SECONDS).write(user_id, task_id, stored)


async def cancel(service: Served, task_id: str, user_id: str = "alice") -> Answer:
    return await ask(service, "POST", f"/task/{task_id}/cancel", user_id)


async def mark_read(service: Served, body: Any, user_id: str = "alice") -> Answer:
    return await ask(service, "POST", "/notifications/read", user_id, json=body)


async def stored_cancels(backends: Backends) -> dict[str, str]:
    found = await backends.sdk.caches.dictionary_fetch(backends.cache, "task-cancels")
    return found.value_dictionary_string_string if isinstance(found, CacheDictionaryFetch.Hit) else {}


def is_problem(answer: Answer, *problem_types: ProblemType) -> bool:
    """Whether it is an error that says what to do, which the page may read."""
    return (
        any(
            (answer.json["type"], answer.json["status"], answer.status) == (each.uri, each.status, each.status)
            for each in problem_types
        )
        and answer.headers["Content-Type"] == "application/problem+json"
        and answer.headers["Access-Control-Allow-Origin"] == PAGE
        and answer.json["detail"].endswith(".")
        and bool(answer.json["requestId"])
    )


# GET /task/{taskId}


async def test_a_new_task_is_queued(service: Served, new_task: str) -> None:
    answer = await get(service, f"/task/{new_task}")
    assert (answer.status, answer.json) == (200, {"taskId": new_task, "status": "queued"})
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert {"Location", "Retry-After"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))


async def test_a_running_task_shows_its_progress(service: Served, new_task: str) -> None:
    snapshot = {
        "status": "running",
        "type": "report",
        "attempt": 1,
        "maxAttempts": 5,
        "startedAt": 5,
        "updatedAt": 7,
        "progress": {"percent": 40, "message": "page 4 of 10"},
        "input": {"pages": 10},
    }
    await store_snapshot(service, new_task, snapshot)
    answer = await get(service, f"/task/{new_task}")
    assert answer.json == {"taskId": new_task, **snapshot}
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled", "expired"])
async def test_the_history_decides_about_a_task_that_has_ended(service: Served, new_task: str, status: str) -> None:
    details, at_ms = TaskDetails(type="report", input="x", attempt=2, max_attempts=5, started_at_ms=4), now_ms()
    notification = {
        "finished": finished(new_task, "done", at_ms, details, data={"rows": 3}),
        "failed": failed(new_task, "x", at_ms, details, error="No such report.", reason="permanent"),
        "cancelled": cancelled(new_task, at_ms, details),
        "expired": expired(new_task, at_ms, details),
    }[status]
    await store_snapshot(service, new_task, {"status": "running"})
    await conclude(service, notification)
    answer = await get(service, f"/task/{new_task}")
    fields = notification.fields()
    fields["updatedAt"] = fields.pop("time")
    assert answer.json == fields
    assert answer.json["status"] == status
    assert "Retry-After" not in answer.headers


def requests_of(backends: Backends) -> Counter[str]:
    """The calls that Momento has answered so far, by method."""
    calls: dict[str, dict[str, int]] = backends.emulator.stats()["calls"]
    return Counter({method: sum(by_status.values()) for method, by_status in calls.items()})


def comparable(answer: Answer) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in {"date", "x-request-id"}}
    return answer.status, headers, {name: value for name, value in answer.json.items() if name != "requestId"}


@pytest.mark.parametrize("kind", ["uuid7", "old uuid7", "other"])
@pytest.mark.parametrize("state", ["finished", "running"])
async def test_another_users_task_is_like_an_unknown_one(backends: Backends, kind: str, state: str) -> None:
    theirs, unknown = {
        "uuid7": (uuid7(now_ms()), uuid7(now_ms(), 2)),
        "old uuid7": (uuid7(now_ms() - 90_000_000), uuid7(now_ms() - 90_000_000, 2)),
        "other": ("t-1", "t-2"),
    }[kind]
    async with backends.service(TASK_OPERATIONS_PER_SECOND="1000") as service:
        if state == "finished":
            await conclude(service, finished(theirs, "x" * 9_000, now_ms()), "bob")
            await store_result(service, theirs, "x" * 9_000, [1], "bob")
        await store_snapshot(service, theirs, {"status": state}, "bob")
        await get(service, "/notifications")  # reads what the service keeps of alice
        for method, path in (("GET", "/task/{}"), ("GET", "/task/{}/result"), ("POST", "/task/{}/cancel")):
            seen = []
            for task_id in (theirs, unknown):
                before = requests_of(backends)
                answer = await ask(service, method, path.format(task_id))
                made = requests_of(backends) - before
                made.pop("DictionaryFetch", None)  # the copy of all cancel requests, at most once in 5 s
                status, headers, body = comparable(answer)
                body.pop("cancelRequestedAt", None)
                seen.append((status, headers, {**body, "taskId": None}, made))
            assert seen[0] == seen[1], path
        assert (await get(service, f"/task/{theirs}", "bob")).json["status"] == state


@pytest.mark.parametrize(
    "path", ["a%20b", "%C3%A9", "x" * 129, "a%0Ab", "%00", "%7F", "t-1", "..%2F..%2Fadmin", uuid5().upper()]
)
async def test_an_id_that_no_task_can_have_is_404(service: Served, path: str) -> None:
    for method, suffix in (("GET", ""), ("GET", "/result"), ("POST", "/cancel")):
        answer = await ask(service, method, f"/task/{path}{suffix}")
        assert is_problem(answer, ProblemType.TASK_NOT_FOUND)
        assert "Check the id" in answer.json["detail"]


async def test_an_old_task_may_have_been_trimmed_if_the_history_is_full(generous: Served) -> None:
    old, older = uuid7(now_ms() - 1_000_000), uuid7(now_ms() - 80_000_000)
    for number in range(NEWEST):
        await conclude(generous, finished(f"t-{number}", "x", now_ms()), "bob")
    assert (await get(generous, f"/task/{old}")).json["status"] == "queued"
    assert (await get(generous, f"/task/{older}")).json["status"] == "queued"
    assert (await get(generous, f"/task/{old}", "bob")).status == 404
    assert (await get(generous, f"/task/{uuid7(now_ms() - 100_000)}", "bob")).json["status"] == "queued"


@pytest.mark.parametrize(("method", "path"), [("POST", "/task/t-1"), ("GET", "/task/t-1/cancel"), ("PUT", "/task/t-1")])
async def test_other_methods_are_refused(service: Served, method: str, path: str) -> None:
    assert is_problem(await ask(service, method, path), ProblemType.METHOD_NOT_ALLOWED)


# GET /task/{taskId}/result


async def test_a_result_of_the_largest_size_is_returned_whole(generous: Served, new_task: str) -> None:
    data = {"rows": ["größer 👍🏽" * 10] * 3_000}
    assert 400_000 < len(orjson.dumps(data)) < 524_288 - 100
    await store_result(generous, new_task, "Finished task: x", data)
    await conclude(generous, finished(new_task, "x", now_ms(), data=data))
    status = (await get(generous, f"/task/{new_task}")).json
    assert status["truncated"] is True
    assert "data" not in status
    answer = await get(generous, f"/task/{new_task}/result")
    assert answer.json == {"taskId": new_task, "message": "Finished task: x", "data": data}
    assert is_problem(await get(generous, f"/task/{new_task}/result", "bob"), ProblemType.RESULT_NOT_READY)


async def test_a_result_before_the_end_and_after_its_expiry(service: Served, new_task: str) -> None:
    early = await get(service, f"/task/{new_task}/result")
    assert is_problem(early, ProblemType.RESULT_NOT_READY)
    assert early.headers["Retry-After"] == "2"
    await conclude(service, finished(new_task, "x" * 9_000, now_ms()))
    assert is_problem(await get(service, f"/task/{new_task}/result"), ProblemType.RESULT_EXPIRED)


# POST /task/{taskId}/cancel


async def test_a_cancel_request_is_stored_and_shown(service: Served, backends: Backends, new_task: str) -> None:
    before = now_ms()
    answer = await cancel(service, new_task)
    assert answer.status == 202
    requested_at = answer.json["cancelRequestedAt"]
    assert answer.json == {"taskId": new_task, "status": "queued", "cancelRequestedAt": requested_at}
    assert before <= requested_at <= now_ms()
    assert await stored_cancels(backends) == {f"alice {new_task}": str(requested_at)}
    assert (await cancel(service, new_task)).json == answer.json
    assert (await get(service, f"/task/{new_task}")).json["cancelRequestedAt"] == requested_at
    assert await CancelRequests(service.app[MOMENTO]).fetch() == {("alice", new_task): requested_at}


async def test_a_body_of_a_cancel_request_is_ignored(service: Served, new_task: str) -> None:
    answer = await ask(service, "POST", f"/task/{new_task}/cancel", json={"userId": "bob", "taskId": "t-9"})
    assert (answer.status, answer.json["taskId"]) == (202, new_task)


async def test_another_replica_knows_the_time_of_the_request(backends: Backends, new_task: str) -> None:
    async with backends.service() as one, backends.service() as other:
        first = await cancel(one, new_task)
        assert (await cancel(other, new_task)).json == first.json


async def test_a_task_that_has_ended_is_a_conflict(service: Served, backends: Backends, new_task: str) -> None:
    await conclude(service, finished(new_task, "x", now_ms()))
    answer = await cancel(service, new_task)
    assert is_problem(answer, ProblemType.TASK_ENDED)
    assert "finished" in answer.json["detail"]
    assert await stored_cancels(backends) == {}


async def test_a_task_that_ends_while_the_request_is_written_is_a_conflict(
    service: Served, backends: Backends, new_task: str
) -> None:
    backends.emulator.change(faults=[{"method": "DictionarySet", "delayMs": 500, "calls": 1}])
    cancelling = asyncio.create_task(cancel(service, new_task))
    await wait_until(lambda: requests_of(backends)["DictionaryFetch"] and written(backends) == 1)
    await conclude(service, finished(new_task, "x", now_ms()))
    assert not cancelling.done()
    assert is_problem(await cancelling, ProblemType.TASK_ENDED)
    assert await stored_cancels(backends) == {}


def written(backends: Backends) -> int:
    """How often the injected fault was applied."""
    return int(backends.emulator.admin("GET", "settings")["faults"][0]["hits"])


OUTAGES: dict[str, list[dict[str, Any]]] = {
    "the history cannot be read": [{"method": "DictionaryGet", "status": "UNAVAILABLE"}],
    "the snapshot cannot be read": [{"method": "Get", "status": "UNAVAILABLE"}],
    "the requests cannot be read": [{"method": "DictionaryFetch", "status": "UNAVAILABLE"}],
    "the request cannot be written": [{"method": "DictionarySet", "status": "UNAVAILABLE"}],
    "the outcome of the write is lost": [{"method": "DictionarySet", "status": "UNAVAILABLE", "afterEffect": True}],
    "the write is never answered": [{"method": "DictionarySet", "neverAnswer": True}],
    "the quota is exceeded": [{"method": "*", "status": "RESOURCE_EXHAUSTED"}],
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_in_an_outage_no_cancel_request_is_confirmed(
    service: Served, backends: Backends, new_task: str, outage: str
) -> None:
    backends.emulator.change(faults=OUTAGES[outage])
    answer = await cancel(service, new_task)
    assert is_problem(answer, ProblemType.OVERLOADED if "quota" in outage else ProblemType.UNAVAILABLE)
    assert int(answer.headers["Retry-After"]) >= 1
    backends.emulator.change(faults=[])
    assert (await cancel(service, new_task)).status == 202


async def test_an_unavailable_cache_is_503_on_every_route(service: Served, backends: Backends, new_task: str) -> None:
    await get(service)
    backends.emulator.change(down=True)
    for method, path in (
        ("GET", f"/task/{new_task}"),
        ("GET", f"/task/{new_task}/result"),
        ("POST", f"/task/{new_task}/cancel"),
        ("POST", "/notifications/read"),
    ):
        answer = await ask(service, method, path, json={"until": 1} if path.endswith("read") else None)
        assert is_problem(answer, ProblemType.UNAVAILABLE), path
        assert int(answer.headers["Retry-After"]) >= 1
    backends.emulator.change(down=False)


# Limits


def assert_limited(answers: list[Answer], per_minute: int) -> None:
    """As many as in a minute are permitted, and a few more for the time that the requests take."""
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 429}
    assert per_minute <= statuses[200] < len(answers)


async def test_a_flood_of_one_user_is_429_and_others_are_served(generous: Served, new_task: str) -> None:
    reads = await asyncio.gather(*(get(generous, f"/task/{new_task}") for _ in range(300)))
    assert_limited(reads, 240)
    cancels = await asyncio.gather(*(cancel(generous, uuid5(str(number))) for number in range(70)))
    # Outstanding requests, and those that are too many a minute.
    assert Counter(answer.status for answer in cancels) == {202: MAX_OF_USER, 429: 70 - MAX_OF_USER}
    marks = await asyncio.gather(*(mark_read(generous, {"until": 1}) for _ in range(80)))
    assert_limited(marks, 60)
    for refused in (answer for answer in (*reads, *cancels, *marks) if answer.status == 429):
        assert is_problem(refused, ProblemType.RATE_LIMITED, ProblemType.TOO_MANY_CANCEL_REQUESTS)
        assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert (await get(generous, f"/task/{new_task}", "bob")).status == 200
    assert (await cancel(generous, new_task, "bob")).status == 202
    assert (await mark_read(generous, {"until": 1}, "bob")).status == 200


async def test_outstanding_requests_of_another_replica_count(generous: Served) -> None:
    requests = CancelRequests(generous.app[MOMENTO])
    await asyncio.gather(*(requests.add("alice", f"t-{number}", now_ms()) for number in range(50)))
    assert is_problem(await cancel(generous, uuid5()), ProblemType.TOO_MANY_CANCEL_REQUESTS)
    assert (await cancel(generous, uuid5(), "bob")).status == 202


async def test_a_stage_with_too_many_requests_is_503(generous: Served) -> None:
    requests = CancelRequests(generous.app[MOMENTO])
    await asyncio.gather(*(requests.add(f"user-{number % 40}", f"t-{number}", now_ms()) for number in range(1_000)))
    answer = await cancel(generous, uuid5())
    assert is_problem(answer, ProblemType.OVERLOADED)
    assert answer.headers["Retry-After"] == "10"


async def test_a_flood_of_all_users_stays_within_the_share_of_the_quota(backends: Backends, new_task: str) -> None:
    def operations() -> int:
        return sum(requests_of(backends)[method] for method in ("Get", "DictionaryGet"))

    async with backends.service(TASK_OPERATIONS_PER_SECOND="20", VENDING_REPLICAS="2") as service:
        before, started = operations(), time.monotonic()
        answers = await asyncio.gather(*(get(service, f"/task/{new_task}", f"user-{number}") for number in range(200)))
        permitted = 6 * (10 + time.monotonic() - started)
        assert operations() - before <= permitted + 2  # the probe
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 503}
        assert statuses[200] >= 30
        refused = [answer for answer in answers if answer.status == 503]
        assert all(is_problem(answer, ProblemType.OVERLOADED) for answer in refused)
        retries = {int(answer.headers["Retry-After"]) for answer in refused}
        assert len(retries) > 10


# POST /notifications/read


async def test_a_read_marker_moves_forward_only_and_is_published(service: Served, backends: Backends) -> None:
    subscription = await backends.sdk.subscriber.subscribe(backends.cache, "alice")
    assert isinstance(subscription, TopicSubscribe.SubscriptionAsync)
    assert (await get(service, "/notifications")).json["readUntil"] == 0
    until = now_ms() - 1_000
    for asked in (until, until - 5_000):
        answer = await mark_read(service, {"until": asked})
        assert (answer.status, answer.json) == (200, {"readUntil": until})
    ahead = await mark_read(service, {"until": now_ms() + 30_000})
    assert until < ahead.json["readUntil"] <= now_ms()
    published: list[Any] = []
    async with asyncio.timeout(10):
        while len(published) < 2:
            item = await subscription.__anext__()
            assert isinstance(item, TopicSubscriptionItem.Text)
            published.append(orjson.loads(item.value))
    assert published == [{"readUntil": until}, ahead.json]
    assert (await get(service, "/notifications")).json["readUntil"] == ahead.json["readUntil"]
    assert (await get(service, "/notifications", "bob")).json["readUntil"] == 0


async def test_a_marker_is_stored_also_if_it_cannot_be_published(service: Served, backends: Backends) -> None:
    backends.emulator.change(faults=[{"method": "Publish", "status": "UNAVAILABLE"}])
    assert (await mark_read(service, {"until": 5})).json == {"readUntil": 5}


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "5", 5, None, {"until": None}, {"until": "5"}, {"until": 5.0}, {"until": True}, {"until": -1}),
        *({"until": 2**70}, {"until": 10**14}, {"Until": 5}),
    ],
    ids=str,
)
async def test_an_invalid_marker_is_400(service: Served, body: Any) -> None:
    answer = await ask(
        service, "POST", "/notifications/read", **{"Content-Type": "application/json"}, json=body if body else None
    )
    assert is_problem(answer, ProblemType.INVALID_BODY)
    assert "until" in answer.json["detail"]
    assert (await get(service, "/notifications")).json["readUntil"] == 0


async def test_a_body_of_another_type_is_415(service: Served) -> None:
    answer = await ask(service, "POST", "/notifications/read", **{"Content-Type": "text/plain"})
    assert is_problem(answer, ProblemType.UNSUPPORTED_MEDIA_TYPE)


# Without a history


async def test_without_a_history_the_routes_say_so_and_make_no_call(backends: Backends, new_task: str) -> None:
    async with backends.service(HISTORY_RETENTION_SECONDS="0") as service:
        backends.emulator.change(down=True)
        for method, path in (
            ("GET", f"/task/{new_task}"),
            ("GET", f"/task/{new_task}/result"),
            ("POST", f"/task/{new_task}/cancel"),
            ("POST", "/notifications/read"),
        ):
            answer = await ask(service, method, path)
            assert is_problem(answer, ProblemType.HISTORY_DISABLED)
            assert "HISTORY_RETENTION_SECONDS" in answer.json["detail"]
        assert (await get(service, "/notifications")).json["readUntil"] == 0


async def test_logs_have_no_payload(backends: Backends, new_task: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="services")
    secret = "s3cr3t"
    async with backends.service() as service:
        await store_snapshot(service, new_task, {"status": "running", "input": secret, "title": secret})
        await get(service, f"/task/{new_task}")
        await cancel(service, new_task)
        await conclude(service, finished(new_task, secret * 2_000, now_ms(), TaskDetails(input=secret), data=secret))
        await store_result(service, new_task, secret, secret)
        assert secret in (await get(service, f"/task/{new_task}/result")).body.decode()
        await cancel(service, new_task)
        await mark_read(service, {"until": secret})
    lines = log_lines([record for record in caplog.records if record.name.startswith("services.")])
    assert "cancel request stored" in lines
    assert secret not in lines
