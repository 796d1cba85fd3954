"""Notifications arrive once each, whatever happens to streams, tokens and services."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvloop
from aiohttp import web

from notification_api.client import Notification, NotificationApi, NotificationApiError, NotTheApiError, SignedOutError
from notification_api.client.retry import Backoff
from notification_api.client.subscription import decisions, disposable_token, heartbeat, stream
from tests.support.client.fake_api import FakeApi, fake_api, notification_of, problem
from tests.support.processes.momento import MomentoEmulator
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

QUICK = Backoff(0.1, 0.5)


async def received(notifications: AsyncIterator[Notification], count: int, seconds: float = 20.0) -> list[str | None]:
    async with asyncio.timeout(seconds):
        return [(await anext(notifications)).task_id for _ in range(count)]


async def is_quiet(notifications: AsyncIterator[Notification], seconds: float = 0.5) -> bool:
    try:
        await received(notifications, 1, seconds)
    except TimeoutError:
        return True
    return False


async def streams(emulator: MomentoEmulator) -> int:
    stats = await asyncio.to_thread(emulator.stats)
    return sum(sum(topics.values()) for topics in stats["liveStreamsByTopic"].values())


async def subscribed(api: NotificationApi) -> AsyncIterator[Notification]:
    notifications = api.notifications()
    await api.connected()
    return notifications


async def test_a_notification_has_its_fields(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    await stage.notify("größer", "progress", percent=40, message="1 of 2 👍🏽")
    await stage.notify("größer", "failed", error="no rows", reason="permanent", data={"a": [1]})
    progress, failed = [await anext(notifications) for _ in range(2)]
    assert (progress.status, progress.percent, progress.message) == ("progress", 40, "1 of 2 👍🏽")
    assert (failed.task_id, failed.error, failed.reason, failed.data) == ("größer", "no rows", "permanent", {"a": [1]})
    assert failed.is_final
    assert not progress.is_final


async def test_copies_read_markers_and_unknown_messages_are_not_delivered(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    await stage.notify("a")
    for text in (json.dumps(stage.history[0]), '{"readUntil": 5}', '{"later": "version"}'):
        await stage.publish(text)
    await stage.publish("plain text")
    assert await received(notifications, 2) == ["a", None]
    assert await is_quiet(notifications)


async def test_every_iterator_receives_every_notification(stage: FakeApi, api: NotificationApi) -> None:
    one, other = await subscribed(api), api.notifications()
    await stage.notify("a")
    assert await received(one, 1) == await received(other, 1) == ["a"]


@pytest.mark.parametrize("end", ["abort", "end"])
async def test_what_is_published_while_the_stream_is_broken_arrives(
    stage: FakeApi, api: NotificationApi, end: str
) -> None:
    notifications = await subscribed(api)
    await stage.notify("before")
    assert await received(notifications, 1) == ["before"]
    await asyncio.to_thread(stage.emulator.admin, "POST", f"streams/{end}")
    await stage.notify("meanwhile", "progress")
    await stage.notify("meanwhile")
    assert await received(notifications, 2) == ["meanwhile", "meanwhile"]
    assert await is_quiet(notifications)


async def test_a_stream_that_broke_before_any_message_is_made_up_for_by_the_history(
    stage: FakeApi, api: NotificationApi
) -> None:
    notifications = await subscribed(api)
    await asyncio.to_thread(stage.emulator.abort_streams)
    await stage.notify("meanwhile")
    assert await received(notifications, 1) == ["meanwhile"]
    assert await is_quiet(notifications)


async def test_messages_that_the_topic_has_dropped_come_from_the_history(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    await stage.notify("first")
    assert await received(notifications, 1) == ["first"]
    with stage.emulator.changed(historyMessages=2):
        await asyncio.to_thread(stage.emulator.abort_streams)
        await asyncio.gather(*(stage.notify(f"t{number}") for number in range(6)))
        assert sorted(str(each) for each in await received(notifications, 6)) == [f"t{number}" for number in range(6)]
    assert await is_quiet(notifications)


async def test_deliveries_over_the_quota_come_from_the_history(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    with stage.emulator.changed(topicOperationsPerSecond=1.0):  # the publish uses it up
        await stage.notify("skipped")
    await stage.notify("delivered", "progress")
    assert sorted(str(each) for each in await received(notifications, 2)) == ["delivered", "skipped"]


async def test_notifications_from_before_are_not_delivered(stage: FakeApi, api: NotificationApi) -> None:
    stage.history.append(notification_of("old", time=1))
    notifications = await subscribed(api)
    await stage.notify("new")
    assert await received(notifications, 1) == ["new"]
    assert await is_quiet(notifications)


async def test_a_task_that_ended_before_the_stream_was_open_is_delivered(stage: FakeApi, api: NotificationApi) -> None:
    notifications = api.notifications()
    task = await api.submit("report", 1, idempotency_key="k")
    stage.history.append(notification_of(task.id, time=1))  # by a clock that is wrong
    assert await received(notifications, 1) == [task.id]


async def test_a_notification_that_is_stored_late_arrives(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notification_api.client.subscription.catch_up.RECHECK_SECONDS", (1.0,))
    notifications = await subscribed(api)
    await wait_until(lambda: stage.count("/notifications") == 1)
    stage.history.append(notification_of("late", time=1))
    assert await received(notifications, 1) == ["late"]


async def test_a_refused_cursor_leads_to_the_whole_history(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    await stage.notify("a")
    assert await received(notifications, 1) == ["a"]
    stage.replies["/notifications"].append(problem(400))
    await asyncio.to_thread(stage.emulator.abort_streams)
    stage.history.append(notification_of("b", time=1))
    assert await received(notifications, 1) == ["b"]
    assert await is_quiet(notifications)


@pytest.mark.parametrize("path", ["/token", "/notifications"])
async def test_services_that_fail_are_asked_again_after_the_time_that_they_name(
    stage: FakeApi, api: NotificationApi, path: str
) -> None:
    stage.replies[path].extend([problem(503, **{"Retry-After": "1"}), None, problem(429, **{"Retry-After": "0"})])
    notifications = api.notifications()
    clock = asyncio.get_running_loop().time
    started = clock()
    await stage.notify("a")
    assert await received(notifications, 1) == ["a"]
    await wait_until(lambda: stage.count(path) >= 4)
    assert clock() - started >= 1.0


@pytest.mark.parametrize("status", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
async def test_a_refused_token_is_replaced_at_once(stage: FakeApi, api: NotificationApi, status: str) -> None:
    stage.emulator.change(faults=[{"method": "Subscribe", "status": status, "calls": 1}])
    await api.connected(timeout=2.0)
    assert stage.count("/token") == 2


@pytest.mark.parametrize("status", ["NOT_FOUND", "RESOURCE_EXHAUSTED"])
async def test_a_refusal_is_the_cause_of_the_time_out_and_is_tried_again(
    stage: FakeApi, api: NotificationApi, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "REFUSED", QUICK)
    stage.emulator.change(faults=[{"method": "Subscribe", "status": status}])
    with pytest.raises(TimeoutError) as late:
        await api.connected(timeout=1.5)
    assert getattr(late.value.__cause__, "reason", None) == status
    stage.emulator.change(faults=[])
    await api.connected()


async def test_the_limit_of_subscriptions_is_a_refusal(stage: FakeApi, api: NotificationApi) -> None:
    with stage.emulator.changed(subscriptions=0), pytest.raises(TimeoutError) as late:
        await api.connected(timeout=1.0)
    assert "RESOURCE_EXHAUSTED" in str(late.value.__cause__)


async def test_a_stream_that_is_not_answered_is_given_up(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "OPEN_SECONDS", 0.5)
    stage.emulator.change(faults=[{"method": "Subscribe", "neverAnswer": True, "calls": 1}])
    await api.connected(timeout=10.0)


async def test_a_stream_without_heartbeats_is_replaced(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "SHORTEST_SECONDS", 0.3)
    with stage.emulator.changed(heartbeatSeconds=0.1):
        notifications = await subscribed(api)
        await asyncio.sleep(0.5)  # some heartbeats, whose interval is measured
        with stage.emulator.changed(streamsFrozen=True):
            await stage.notify("meanwhile")
            assert await received(notifications, 1, 10.0) == ["meanwhile"]


async def test_the_token_is_renewed_at_half_of_its_life_and_no_stream_is_missing(
    stage: FakeApi, api: NotificationApi
) -> None:
    stage.token_seconds = 4
    notifications = await subscribed(api)
    sent: list[str] = []
    async with asyncio.timeout(20):
        while stage.count("/token") < 4:
            assert await streams(stage.emulator) >= 1
            sent.append(f"t{len(sent)}")
            await stage.notify(sent[-1], "progress")
            await asyncio.sleep(0.05)
    assert await received(notifications, len(sent)) == sent
    assert await is_quiet(notifications)


async def test_streams_that_end_with_their_token_are_opened_again(stage: FakeApi, api: NotificationApi) -> None:
    stage.token_seconds = 4
    notifications = await subscribed(api)
    stage.replies["/token"].extend([problem(503, **{"Retry-After": "3"})])  # beyond the life of the token
    await asyncio.sleep(4.5)
    await stage.notify("after the end")
    assert await received(notifications, 1) == ["after the end"]


async def test_a_token_that_cannot_be_renewed_is_asked_for_again_while_the_stream_goes_on(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disposable_token, "RENEW_AT", 0.1)
    monkeypatch.setattr("notification_api.client.subscription.subscription.RENEWAL", QUICK)
    stage.token_seconds = 20
    notifications = await subscribed(api)
    stage.replies["/token"].extend([problem(503), None])
    await wait_until(lambda: stage.count("/token") >= 4, timeout_seconds=15)
    await stage.notify("a", "progress")
    assert await received(notifications, 1) == ["a"]


async def test_an_expired_id_token_ends_the_iterator_and_who_waits(stage: FakeApi, api: NotificationApi) -> None:
    notifications = await subscribed(api)
    task = await api.submit("report", 1)
    waiting = asyncio.create_task(task.finished())
    await asyncio.sleep(0)
    stage.id_tokens.clear()
    await asyncio.to_thread(stage.emulator.abort_streams)
    for failing in (anext(notifications), anext(notifications), waiting):
        with pytest.raises(SignedOutError, match="probably because it has expired"):
            await failing
    with pytest.raises(SignedOutError):
        await anext(api.notifications())


async def test_a_wrong_url_fails_at_once(stage: FakeApi) -> None:
    async with NotificationApi(f"{stage.url}/elsewhere", token="id-1") as api:
        with pytest.raises(NotTheApiError, match="/elsewhere/token was answered 404"):
            await api.connected(timeout=5)


async def test_after_a_connection_an_answer_of_something_else_is_retried(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "LOST", QUICK)
    notifications = await subscribed(api)
    stage.replies["/token"].append(web.Response(status=404, text="default backend"))
    stage.emulator.change(faults=[{"method": "Subscribe", "status": "UNAUTHENTICATED", "calls": 1}])
    await asyncio.to_thread(stage.emulator.abort_streams)
    await stage.notify("a")
    assert await received(notifications, 1) == ["a"]


async def test_closing_ends_the_iterator_and_leaves_nothing_open(stage: FakeApi) -> None:
    before = asyncio.all_tasks()
    async with NotificationApi(stage.url, token="id-1") as api:
        notifications = await subscribed(api)
        await stage.notify("a")
        await wait_until(lambda: streams(stage.emulator))
    assert [each.task_id async for each in notifications] == ["a"]
    await wait_until(lambda: asyncio.all_tasks() - {asyncio.current_task()} <= before)

    async def none_open() -> bool:
        return await streams(stage.emulator) == 0

    await wait_until(none_open)


async def test_closing_while_a_stream_is_being_opened_leaves_nothing_open(stage: FakeApi) -> None:
    stage.emulator.change(faults=[{"method": "Subscribe", "neverAnswer": True}])
    async with NotificationApi(stage.url, token="id-1") as api:
        notifications = api.notifications()
        connecting = asyncio.create_task(api.connected())
        await wait_until(lambda: stage.count("/token"))
    assert [each async for each in notifications] == []
    with pytest.raises(NotificationApiError, match="was closed"):
        await asyncio.wait_for(connecting, 5)


def test_it_runs_on_uvloop(momento_emulator: MomentoEmulator) -> None:
    async def work() -> None:
        async with fake_api(momento_emulator) as stage, NotificationApi(stage.url, token="id-1") as api:
            notifications = await subscribed(api)
            await asyncio.to_thread(stage.emulator.abort_streams)
            await stage.notify("a")
            assert await received(notifications, 1) == ["a"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
