"""Whatever happens, every submitted entry has exactly one outcome, and it is the one of the last call with it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from notification_api import PermanentError, TransientError
from services.common.batcher import BATCH_ENTRIES, Batcher, BatcherFull, BatchPolicy, BatchRefusedError

OUTCOMES = st.sampled_from(["ok", "ok", "ok", "transient", "permanent"])


@dataclass(frozen=True)
class Submission:
    """One caller: how large its entry is, what each of its calls ends with, and whether the caller gives up."""

    size: int
    outcomes: tuple[str, ...]
    comes_after: int
    gives_up_after: int | None


submissions = st.lists(
    st.builds(
        Submission,
        size=st.integers(0, 60),
        outcomes=st.tuples(OUTCOMES, OUTCOMES, OUTCOMES),
        comes_after=st.integers(0, 6),
        gives_up_after=st.none() | st.integers(0, 4),
    ),
    max_size=40,
)
policies = st.builds(
    BatchPolicy,
    max_bytes=st.integers(50, 200),
    max_in_flight=st.integers(1, 3),
    max_waiting=st.integers(1, 30),
    idle_linger_seconds=st.sampled_from([0.0, 0.0005]),
    busy_linger_seconds=st.sampled_from([0.0, 0.0005]),
    attempts=st.integers(1, 3),
    retry_base_seconds=st.just(0.0),
)


class Server:
    """Answers as the submissions say, some event loop turns later; remembers what it was asked."""

    def __init__(self, plan: Sequence[Submission], policy: BatchPolicy, turns: int, fails: bool) -> None:
        self.calls_of: Counter[int] = Counter()
        self.last: dict[int, str] = {}
        self._plan = plan
        self._policy = policy
        self._turns = turns
        self._fails = fails
        self._in_flight = 0

    async def send(self, numbers: Sequence[int]) -> list[Exception | None]:
        self._in_flight += 1
        assert self._in_flight <= self._policy.max_in_flight
        assert 1 <= len(numbers) <= BATCH_ENTRIES
        assert len(set(numbers)) == len(numbers)
        assert len(numbers) == 1 or sum(self._plan[number].size for number in numbers) <= self._policy.max_bytes
        for _ in range(self._turns):
            await asyncio.sleep(0)
        self._in_flight -= 1
        outcomes = [self._outcome(number) for number in numbers]
        if self._fails and all(isinstance(outcome, TransientError) for outcome in outcomes):
            raise TransientError("all of them")
        return outcomes

    def _outcome(self, number: int) -> Exception | None:
        outcome = self._plan[number].outcomes[self.calls_of[number]]
        self.calls_of[number] += 1
        self.last[number] = outcome
        return {"ok": None, "transient": TransientError("busy"), "permanent": PermanentError("no")}[outcome]


async def call(batcher: Batcher[int], number: int, submission: Submission) -> str:
    """Submit; the outcome in a word."""
    for _ in range(submission.comes_after):
        await asyncio.sleep(0)
    caller = asyncio.create_task(batcher.submit(number, submission.size))
    if submission.gives_up_after is not None:
        for _ in range(submission.gives_up_after):
            await asyncio.sleep(0)
        caller.cancel()
    try:
        await caller
    except asyncio.CancelledError:
        return "given up"
    except BatcherFull:
        return "full"
    except TransientError:
        return "transient"
    except PermanentError:
        return "permanent"
    return "ok"


async def run(plan: list[Submission], policy: BatchPolicy, turns: int, fails: bool) -> None:
    server = Server(plan, policy, turns, fails)
    batcher = Batcher(server.send, policy)
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*(call(batcher, number, one) for number, one in enumerate(plan)))
        await batcher.close()
    for number, outcome in enumerate(outcomes):
        if outcome == "full":
            assert number not in server.calls_of
        elif outcome != "given up":
            assert outcome == server.last[number]
            assert server.calls_of[number] == expected_calls(plan[number], policy)


def expected_calls(submission: Submission, policy: BatchPolicy) -> int:
    """Calls that an entry takes part in: to its first final outcome, or to the last attempt."""
    calls = 0
    for outcome in submission.outcomes[: policy.attempts]:
        calls += 1
        if outcome != "transient":
            break
    return calls


@settings(max_examples=150, deadline=None)
@given(submissions, policies, st.integers(0, 5), st.booleans())
def test_every_entry_has_exactly_one_outcome(
    plan: list[Submission], policy: BatchPolicy, turns: int, fails: bool
) -> None:
    asyncio.run(run(plan, policy, turns, fails))


@dataclass(frozen=True)
class Message:
    """One entry, and what is wrong with it."""

    size: int
    is_poison: bool
    failures: int
    """Calls with it that fail for now before it is taken."""


messages = st.lists(
    st.builds(Message, size=st.integers(1, 60), is_poison=st.booleans(), failures=st.integers(0, 1)),
    min_size=1,
    max_size=30,
)


class QueueWithALimit:
    """Refuses a call as a whole for its total size and for a poisoned entry, as SQS does; remembers what it took."""

    def __init__(self, plan: Sequence[Message], limit: int) -> None:
        self.taken: list[int] = []
        self.refused_alone: list[int] = []
        self.calls: list[Sequence[int]] = []
        self._plan = plan
        self._limit = limit
        self._failed: Counter[int] = Counter()

    async def send(self, numbers: Sequence[int]) -> list[Exception | None]:
        self.calls.append(numbers)
        await asyncio.sleep(0)
        assert list(numbers) == sorted(numbers)
        entries = [self._plan[number] for number in numbers]
        if sum(entry.size for entry in entries) > self._limit or any(entry.is_poison for entry in entries):
            if len(numbers) == 1:
                self.refused_alone += numbers
            raise BatchRefusedError(PermanentError("no"))
        return [self._outcome(number) for number in numbers]

    def _outcome(self, number: int) -> Exception | None:
        if self._failed[number] < self._plan[number].failures:
            self._failed[number] += 1
            return TransientError("busy")
        self.taken.append(number)
        return None


async def send_all(plan: list[Message], limit: int, knows_the_limit: bool) -> None:
    queue = QueueWithALimit(plan, limit)
    policy = BatchPolicy(max_bytes=200, max_in_flight=2, retry_base_seconds=0.0)
    batcher = Batcher(queue.send, policy, max_bytes=lambda: limit if knows_the_limit else None)
    async with asyncio.timeout(10):
        submitted = [batcher.submit(number, message.size) for number, message in enumerate(plan)]
        outcomes = await asyncio.gather(*submitted, return_exceptions=True)
        await batcher.close()
    taken = [number for number, outcome in enumerate(outcomes) if outcome is None]
    hopeless = [number for number, message in enumerate(plan) if message.is_poison or message.size > limit]
    assert sorted(queue.taken) == taken == [number for number in range(len(plan)) if number not in hopeless]
    assert sorted(queue.refused_alone) == hopeless
    assert all(type(outcome) is PermanentError for outcome in outcomes if outcome is not None)
    assert len(queue.calls) <= 4 * len(plan) + 1
    if knows_the_limit and not hopeless:
        assert all(sum(plan[number].size for number in call) <= limit for call in queue.calls)


@settings(max_examples=200, deadline=None)
@given(messages, st.integers(1, 250), st.booleans())
def test_an_entry_fails_only_for_its_own_content_and_is_never_sent_again_after_success(
    plan: list[Message], limit: int, knows_the_limit: bool
) -> None:
    asyncio.run(send_all(plan, limit, knows_the_limit))
