"""Reads of one user's history are shared, and no answer is older than its request."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.common.background import Background
from services.common.messages.notification import finished
from services.common.momento.errors import MomentoQuotaExceeded, MomentoUnavailable
from services.common.momento.history import NEWEST, HistoryEntry, NotificationHistory
from services.common.momento.history_cursor import Cursor
from services.common.momento.read_markers import ReadMarkers
from services.common.web.problem import Problem
from services.token.history import history_reader
from services.token.history.history_limits import HistoryBusyError, ReadBudget, UserLimit
from services.token.history.history_reader import HistoryReader
from tests.support.fakes.momento import FakeMomento
from tests.support.waiting import wait_until

NOW_MS = 1_767_225_600_000


class SlowMomento(FakeMomento):
    """Takes what is stored when a fetch begins, and answers it when the test permits."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def dictionary_fetch(self, name: str, *, deadline_seconds: float = 5.0) -> Mapping[str, bytes]:
        found = await super().dictionary_fetch(name)
        self.begun += 1
        await self.answers.wait()
        return found


class ReaderHarness:
    def __init__(self, *, reads_per_minute: float = 6_000, budget: ReadBudget | None = None) -> None:
        self.momento = SlowMomento()
        self.background = Background(lambda: None)
        self.history = NotificationHistory(self.momento.as_momento(), 1e12)
        self.markers = ReadMarkers(self.momento.as_momento(), 1e12)
        self.reader = HistoryReader(
            self.history,
            self.markers,
            UserLimit(reads_per_minute, 1e6),
            budget or ReadBudget(1e6),
            self.background,
        )

    async def store(self, task_id: str, user_id: str = "alice") -> None:
        await self.history.write(user_id, HistoryEntry(notification=finished(task_id, "x", NOW_MS)), NOW_MS)

    def asks(self, user_id: str = "alice") -> asyncio.Task[list[str]]:
        return asyncio.create_task(self.read(user_id))

    async def read(self, user_id: str = "alice") -> list[str]:
        read = await self.reader.page(user_id, Cursor())
        return [one.task_id for one in read.page.notifications]


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ReaderHarness]:
    monkeypatch.setattr(history_reader, "INTERVAL_SECONDS", 0.0)
    harness = ReaderHarness()
    yield harness
    await harness.background.close()


async def test_requests_during_a_read_share_the_next_one_and_see_what_was_stored_before_them(
    harness: ReaderHarness,
) -> None:
    harness.momento.answers.clear()
    first = harness.asks()
    await wait_until(lambda: harness.momento.begun == 1)
    await harness.store("t-1")  # while the first read is under way: not in its answer
    others = [harness.asks() for _ in range(50)]
    await asyncio.sleep(0)
    harness.momento.answers.set()
    assert await first == []
    assert await asyncio.gather(*others) == [["t-1"]] * 50
    assert harness.momento.begun == 2


async def test_users_do_not_wait_for_each_other_and_do_not_share(harness: ReaderHarness) -> None:
    await harness.store("a-1")
    await harness.store("b-1", "bob")
    harness.momento.answers.clear()
    alice, bob = harness.asks(), harness.asks("bob")
    await wait_until(lambda: harness.momento.begun == 2)
    harness.momento.answers.set()
    assert (await alice, await bob) == (["a-1"], ["b-1"])


async def test_requests_one_after_the_other_share_a_read_in_each_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_reader, "INTERVAL_SECONDS", 0.3)
    harness = ReaderHarness()
    assert await harness.read() == []
    await harness.store("t-1")
    loop = asyncio.get_running_loop()
    since = loop.time()
    assert await asyncio.gather(*(harness.read() for _ in range(20))) == [["t-1"]] * 20
    assert 0.2 < loop.time() - since < 5
    assert harness.momento.begun == 2
    await harness.background.close()


async def test_a_request_that_is_given_up_leaves_the_others_their_read(harness: ReaderHarness) -> None:
    await harness.store("t-1")
    harness.momento.answers.clear()
    impatient, patient = harness.asks(), harness.asks()
    await wait_until(lambda: harness.momento.begun == 1)
    impatient.cancel()
    await asyncio.wait({impatient})
    harness.momento.answers.set()
    assert await patient == ["t-1"]
    assert harness.momento.begun == 1


async def test_a_failed_read_fails_those_who_share_it_and_no_later_one(harness: ReaderHarness) -> None:
    await harness.store("t-1")
    harness.momento.error = MomentoUnavailable("down")
    answers = await asyncio.gather(*(harness.read() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in answers] == [MomentoUnavailable] * 3
    harness.momento.error = None
    assert await harness.read() == ["t-1"]


async def test_a_user_who_asks_too_often_is_refused_and_others_are_not(harness: ReaderHarness) -> None:
    harness.reader = HistoryReader(
        harness.history, harness.markers, UserLimit(30, 1e6), ReadBudget(1e6), harness.background
    )
    before = REGISTRY.get_sample_value("notification_api_history_reads_refused_total", {"reason": "user"}) or 0.0
    answers = await asyncio.gather(*(harness.read() for _ in range(30)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Problem)]
    assert (answers.count([]), len(refused)) == (10, 20)
    assert {(one.status, one.headers["Retry-After"]) for one in refused} == {(429, "2")}
    assert REGISTRY.get_sample_value("notification_api_history_reads_refused_total", {"reason": "user"}) == before + 20
    assert await harness.read("bob") == []


async def test_reads_pause_while_momentos_quota_is_exceeded(harness: ReaderHarness) -> None:
    """The writes of the processor need what there is."""
    harness.reader = HistoryReader(
        harness.history, harness.markers, UserLimit(30, 1e6), ReadBudget(1, wait_seconds=1), harness.background
    )
    before = REGISTRY.get_sample_value("notification_api_history_reads_refused_total", {"reason": "replica"}) or 0.0
    harness.momento.error = MomentoQuotaExceeded("limit exceeded")
    with pytest.raises(MomentoQuotaExceeded):
        await harness.read()
    harness.momento.error = None
    with pytest.raises(HistoryBusyError):
        await harness.read("bob")
    assert harness.momento.begun == 0
    assert (
        REGISTRY.get_sample_value("notification_api_history_reads_refused_total", {"reason": "replica"}) == before + 1
    )


async def test_the_read_marker_is_read_with_the_history(harness: ReaderHarness) -> None:
    assert (await harness.reader.page("alice", Cursor())).read_until_ms == 0
    await harness.markers.write("alice", NOW_MS)
    assert (await harness.reader.page("alice", Cursor())).read_until_ms == NOW_MS
    assert (await harness.reader.page("bob", Cursor())).read_until_ms == 0


async def test_it_is_remembered_whether_a_history_is_full(harness: ReaderHarness) -> None:
    assert not await harness.reader.is_full("alice")
    for number in range(NEWEST):
        await harness.store(f"t-{number}")
    assert not await harness.reader.is_full("alice")
    assert harness.momento.begun == 1
    await harness.read()  # a read of the notifications corrects it
    assert await harness.reader.is_full("alice")
    assert not await harness.reader.is_full("bob")
    assert harness.momento.begun == 3


async def test_nothing_is_kept_of_users_who_have_their_answers(harness: ReaderHarness) -> None:
    await asyncio.gather(*(harness.read(f"user-{number}") for number in range(100)))
    await wait_until(lambda: not harness.reader._latest and not harness.reader._pending)


@given(st.lists(st.sampled_from(["store", "ask", "answer", "turn"]), max_size=60))
async def test_an_answer_has_all_that_was_stored_before_its_request(steps: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_reader, "INTERVAL_SECONDS", 0.0)
        harness, stored = ReaderHarness(), 0
        asked: list[tuple[int, asyncio.Task[list[str]]]] = []
        for step in steps:
            if step == "store":
                stored += 1
                await harness.store(f"t-{stored}")
            elif step == "ask":
                asked.append((stored, harness.asks()))
            elif step == "answer":
                harness.momento.answers.set()
            await asyncio.sleep(0)
            harness.momento.answers.clear()
        harness.momento.answers.set()
        async with asyncio.timeout(10):
            for before, answer in asked:
                assert len(await answer) >= before
        assert harness.momento.begun <= len(asked)
        await harness.background.close()
