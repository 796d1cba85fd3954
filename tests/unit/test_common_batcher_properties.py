"""Whatever happens, every submitted entry has exactly one outcome, and it is the one of the last call with it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.batcher import BATCH_ENTRIES, Batcher, BatcherFull, BatchPolicy
from services.common.errors import PermanentError, Transient

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
        self.told: Counter[int] = Counter()
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
        if self._fails and all(isinstance(outcome, Transient) for outcome in outcomes):
            raise Transient("all of them")
        return outcomes

    def _outcome(self, number: int) -> Exception | None:
        outcome = self._plan[number].outcomes[self.told[number]]
        self.told[number] += 1
        self.last[number] = outcome
        return {"ok": None, "transient": Transient("busy"), "permanent": PermanentError("no")}[outcome]


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
    except Transient:
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
            assert number not in server.told
        elif outcome != "given up":
            assert outcome == server.last[number]
            assert server.told[number] == expected_calls(plan[number], policy)


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
