"""Which message starts next: by examples, and by a rule over any order of polls, arrivals and ends."""

import random
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.processor.receiver.fair_slots import FairSlots


def full_poll(slots: FairSlots[str], *users: str) -> None:
    """A receive call that was answered immediately, so more messages may wait in the queue."""
    asked = slots.reserve()
    assert asked >= len(users)
    slots.received(asked, found_empty=False)
    for user in users:
        slots.add(user, user)


def short_poll(slots: FairSlots[str], *users: str) -> None:
    """A receive call that had to wait for its messages, if any: the queue has no more."""
    slots.received(slots.reserve(), found_empty=True)
    for user in users:
        slots.add(user, user)


def start_all(slots: FairSlots[str]) -> Counter[str]:
    started: Counter[str] = Counter()
    while (turn := slots.start_next()) is not None:
        started[turn[0]] += 1
    return started


@pytest.mark.parametrize(("capacity", "asked"), [(1, 1), (7, 7), (10, 10), (11, 10), (500, 10)])
def test_a_receive_asks_for_at_most_ten_and_no_more_than_there_are_free_slots(capacity: int, asked: int) -> None:
    assert FairSlots[str](capacity, 1.0).reserve() == asked


def test_open_polls_count_against_the_free_slots() -> None:
    slots = FairSlots[str](25, 1.0)
    assert [slots.reserve() for _ in range(4)] == [10, 10, 5, 0]
    slots.received(10, found_empty=True)
    assert slots.reserve() == 10


def test_a_failed_poll_releases_its_reservation() -> None:
    slots = FairSlots[str](10, 1.0)
    slots.receive_failed(slots.reserve())
    assert slots.reserve() == 10


def test_occupied_slots_are_not_polled_for() -> None:
    slots = FairSlots[str](12, 1.0)
    short_poll(slots, *"abcde")
    start_all(slots)
    assert (slots.running, slots.reserve()) == (5, 7)


def test_a_flood_gets_its_share_while_more_may_wait_in_the_queue() -> None:
    slots = FairSlots[str](20, 0.5)
    full_poll(slots, *["flood"] * 10)
    assert start_all(slots) == {"flood": 10}
    full_poll(slots, *["flood"] * 5)
    assert start_all(slots) == {}


def test_a_flood_gets_every_slot_once_no_other_user_is_known_to_wait() -> None:
    slots = FairSlots[str](20, 0.5)
    full_poll(slots, *["flood"] * 10)
    full_poll(slots, *["flood"] * 5)
    start_all(slots)
    short_poll(slots)
    assert start_all(slots) == {"flood": 5}
    assert slots.running == 15


def test_a_short_answer_does_not_mean_that_no_other_user_waits() -> None:
    """SQS gives seven of ten with thousands in the queue."""
    slots = FairSlots[str](20, 0.5)
    for _ in range(3):
        full_poll(slots, *["flood"] * 7)
        start_all(slots)
    assert (slots.running, slots.waiting) == (10, 11)


def test_a_flood_that_fills_the_waiting_messages_does_not_leave_slots_empty() -> None:
    slots = FairSlots[str](4, 0.5)
    full_poll(slots, *["flood"] * 4)
    start_all(slots)
    full_poll(slots, *["flood"] * 2)
    assert slots.reserve() == 0
    start_all(slots)
    assert slots.running > 2


def test_a_single_user_gets_the_slots_beyond_the_share_as_fast_as_messages_arrive() -> None:
    """Otherwise short tasks would run at half the rate: each start would wait for a call that returns one message."""
    slots = FairSlots[str](200, 0.5)
    while not slots.waiting or slots.running <= 100:
        full_poll(slots, *["flood"] * 10)
        start_all(slots)
    for _ in range(5):
        full_poll(slots, *["flood"] * 10)
        assert start_all(slots) == {"flood": 10}


def test_a_flood_keeps_to_its_share_until_enough_messages_wait() -> None:
    slots = FairSlots[str](200, 0.5)
    for _ in range(25):
        full_poll(slots, *["flood"] * 10)
        start_all(slots)
    assert (slots.running, slots.waiting) == (100, 150)
    full_poll(slots, *["flood"] * 10)
    assert start_all(slots) == {"flood": 1}


def test_a_flood_leaves_reserved_slots_for_users_whose_messages_open_calls_return() -> None:
    slots = FairSlots[str](20, 0.5)
    for _ in range(2):
        full_poll(slots, *["flood"] * 10)
        start_all(slots)
    asked = slots.reserve()
    assert (slots.running, slots.waiting, asked) == (10, 10, 10)
    slots.release("flood")
    start_all(slots)
    slots.received(asked, found_empty=False)
    for number in range(10):
        slots.add(f"quiet-{number}", "quiet")
    start_all(slots)
    assert sum(slots._running[f"quiet-{number}"] for number in range(10)) == 10


def test_a_late_user_overtakes_an_earlier_flood() -> None:
    slots = FairSlots[str](4, 0.5)
    short_poll(slots, *["flood"] * 4)
    start_all(slots)
    for user in ("flood", "flood", "late"):  # from a poll that was open while the slots filled
        slots.add(user, user)
    slots.release("flood")
    assert slots.start_next() == ("late", "late")


def test_users_with_as_many_slots_take_turns() -> None:
    slots = FairSlots[str](6, 0.5)
    short_poll(slots, *"aaabbb")
    order = [turn[0] for _ in range(6) if (turn := slots.start_next())]
    assert order == ["a", "b", "a", "b", "a", "b"]


def test_slots_stay_busy_while_the_other_slots_are_in_an_open_poll() -> None:
    """An open poll would return messages of other users; received messages need not wait for its end."""
    slots = FairSlots[str](20, 0.05)
    first, second = slots.reserve(), slots.reserve()
    slots.received(first, found_empty=False)
    for _ in range(10):
        slots.add("flood", "flood")
    start_all(slots)
    while asked := slots.reserve():
        slots.received(asked, found_empty=False)
        for _ in range(asked):
            slots.add("flood", "flood")
    assert second == 10
    assert start_all(slots)


def test_waiting_messages_are_removed_once_for_a_drain() -> None:
    slots = FairSlots[str](4, 0.5)
    full_poll(slots, *["flood"] * 4)
    start_all(slots)
    assert slots.remove_waiting() == ["flood", "flood"]
    assert slots.remove_waiting() == []
    assert slots.waiting == 0
    assert slots.running == 2


class Simulation:
    """A queue server, the slots, and any number of open polls and running tasks."""

    def __init__(self, capacity: int, share: float, queue: list[str]) -> None:
        self.slots = FairSlots[str](capacity, share)
        self.limit = max(1, int(capacity * share))
        self.queue = deque(queue)
        self.polls: list[int] = []
        """The number of messages that each asks for."""
        self.running: list[str] = []
        self.held: Counter[str] = Counter()
        self.ended = 0
        self.left_behind: set[str] = set()
        """Users with messages in the queue at its last response."""

    def begin_poll(self) -> None:
        asked = self.slots.reserve()
        assert 0 <= asked <= 10
        if asked:
            self.polls.append(asked)

    def end_poll(self, index: int, *, fails: bool = False, most: int = 10) -> None:
        """Answer a poll; like SQS with fewer than asked for if it pleases, but never with none while there are some."""
        if not self.polls:
            return
        asked = self.polls.pop(index % len(self.polls))
        if fails:
            self.slots.receive_failed(asked)
            return
        had_none = not self.queue
        got = [self.queue.popleft() for _ in range(min(asked, most, len(self.queue)))]
        self.left_behind = set(self.queue)
        self.slots.received(asked, found_empty=had_none)
        for user in got:
            self.held[user] += 1
            self.slots.add(user, user)
        self.start()

    def end_task(self, index: int) -> None:
        if self.running:
            self.slots.release(self.running.pop(index % len(self.running)))
            self.ended += 1
            self.start()

    def start(self) -> None:
        while (turn := self.slots.start_next()) is not None:
            user = turn[0]
            self.held[user] -= 1
            self.running.append(user)
            self.check_share(user)
        assert self.slots.running == len(self.running) <= self.slots.capacity
        assert self.slots.waiting == sum(self.held.values()) <= self.slots.capacity

    def check_share(self, started: str) -> None:
        """No user exceeds the share while another user's received message could start within it.

        Nor while another user's message is known to be in the queue and can be received.
        """
        counts = Counter(self.running)
        if counts[started] > self.limit:
            assert all(counts[user] >= self.limit for user, held in self.held.items() if held and user != started)
            capacity, asked_for = self.slots.capacity, sum(self.polls)
            is_full = self.slots.waiting + 1 + asked_for >= capacity - capacity // 5
            slots_are_left = self.slots.running + asked_for <= capacity
            assert (is_full and slots_are_left) or not self.left_behind - {started}

    def poll_until_empty(self, most: int = 10) -> None:
        """Poll as the poller does, until there is nothing to ask for or nothing to get."""
        while True:
            self.begin_poll()
            if not self.polls:
                return
            empty = not self.queue
            while self.polls:
                self.end_poll(0, most=most)
            if empty:
                return


steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end", "fail", "finish", "arrive"]),
        st.integers(0, 50),
        st.sampled_from("abcd"),
    )
)


@given(st.integers(1, 40), st.floats(0.01, 1.0), st.lists(st.sampled_from("aaaaaaab")), steps, st.integers(1, 10))
def test_in_any_schedule_shares_are_kept_slots_are_used_and_every_user_is_served(
    capacity: int, share: float, queue: list[str], happenings: list[tuple[str, int, str]], most: int
) -> None:
    simulation = Simulation(capacity, share, queue)
    sent = len(queue)
    for what, index, user in happenings:
        if what == "begin":
            simulation.begin_poll()
        elif what in {"end", "fail"}:
            simulation.end_poll(index, fails=what == "fail", most=1 + index % 10)
        elif what == "finish":
            simulation.end_task(index)
        else:
            simulation.queue.append(user)
            sent += 1
    while simulation.ended < sent:
        simulation.poll_until_empty(most)
        assert simulation.running, "a deadlock: messages wait and nothing runs"
        # Work-conserving: a slot is free only if no message is left.
        assert not simulation.slots.waiting or simulation.slots.running == capacity
        simulation.end_task(random.randrange(capacity))
    assert simulation.slots.running == simulation.slots.waiting == 0


@given(st.integers(2, 60), st.integers(1, 300), st.integers(1, 10))
def test_a_user_among_a_flood_waits_for_no_more_than_one_slot(capacity: int, ahead: int, most: int) -> None:
    """However long the flood, a message that the queue hands out starts as soon as one more slot is free."""
    simulation = Simulation(capacity, 0.5, ["flood"] * (capacity * 3 + ahead))
    simulation.poll_until_empty(most)
    simulation.queue.appendleft("other")  # a fair queue puts the quiet group first
    simulation.end_task(0)
    simulation.poll_until_empty()
    assert "other" in simulation.running


def start_types(slots: FairSlots[str]) -> list[str]:
    started = []
    while (turn := slots.start_next()) is not None:
        started.append(turn[1])
    return started


def test_a_type_has_at_most_as_many_slots_as_its_limit() -> None:
    slots = FairSlots[str](10, 1.0, {"report": 2})
    for _ in range(5):
        slots.add("user", "report", "report")
    assert start_types(slots) == ["report"] * 2
    slots.release("user", "report")
    assert start_types(slots) == ["report"]
    assert slots.running_by_type == {"report": 2}


def test_a_full_type_does_not_keep_others_from_starting() -> None:
    slots = FairSlots[str](10, 1.0, {"report": 1})
    for task_type in ["report", "report", "mail", "report", "mail"]:
        slots.add("user", task_type, task_type)
    assert start_types(slots) == ["report", "mail", "mail"]


def test_a_full_type_does_not_keep_others_from_being_received() -> None:
    slots = FairSlots[str](10, 1.0, {"report": 1})
    for _ in range(10):
        slots.add("user", "report", "report")
    start_types(slots)
    assert (slots.running, slots.waiting, slots.startable, slots.free) == (1, 9, 0, 9)


def test_messages_of_full_types_that_wait_are_bounded() -> None:
    slots = FairSlots[str](10, 1.0, {"report": 1})
    for _ in range(21):
        slots.add("user", "report", "report")
    start_types(slots)
    assert slots.waiting == 20
    assert slots.reserve() == 0


def test_messages_beyond_the_limit_of_a_full_type_should_be_requeued() -> None:
    slots = FairSlots[str](10, 1.0, {"report": 2})
    requeued = []
    for _ in range(6):
        requeued.append(slots.should_requeue("report"))
        if not requeued[-1]:
            slots.add("user", "report", "report")
            start_types(slots)
    assert requeued == [False] * 4 + [True] * 2  # two run, two wait
    assert not slots.should_requeue("mail")


def test_types_of_a_user_take_turns() -> None:
    slots = FairSlots[str](6, 1.0)
    for task_type in ["report"] * 5 + ["mail"] * 2:
        slots.add("user", task_type, task_type)
    assert start_types(slots) == ["report", "mail", "report", "mail", "report", "report"]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z"]), st.booleans()), max_size=60),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_limits_hold_in_any_order_and_no_slot_stays_free_for_a_message_that_may_start(
    steps: list[tuple[str, str, bool]], limit_x: int, limit_y: int
) -> None:
    slots = FairSlots[tuple[str, str]](4, 1.0, {"x": limit_x, "y": limit_y})
    limits = {"x": limit_x, "y": limit_y, "z": 4}
    running: list[tuple[str, str]] = []
    waiting: Counter[str] = Counter()
    for user, task_type, is_arrival in steps:
        if is_arrival:
            slots.add(user, (user, task_type), task_type)
            waiting[task_type] += 1
        elif running:
            slots.release(*running.pop(0))
        while (turn := slots.start_next()) is not None:
            running.append(turn[1])
            waiting[turn[1][1]] -= 1
        by_type = Counter(one[1] for one in running)
        assert all(by_type[name] <= limits[name] for name in by_type)
        assert len(running) == slots.running == 4 or all(
            not waiting[name] or by_type[name] == limits[name] for name in limits
        )
        assert slots.waiting == waiting.total()
