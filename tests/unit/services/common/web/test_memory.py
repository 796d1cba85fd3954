"""How much memory there is, and budgets of it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.memory import (
    BASE_BYTES,
    DEFAULT_LIMIT_BYTES,
    LARGE_SHARE,
    MIB,
    OWNER_SHARE,
    SMALL_BYTES,
    MemoryBudget,
    MemoryFull,
    container_limit_bytes,
    share_of_memory,
)

UNLIMITED_V1 = "9223372036854771712"
GROUPS = [
    pytest.param({"memory.max": "268435456"}, "0::/", 256, id="version 2, in a container"),
    pytest.param({"memory.max": "max"}, "0::/", None, id="version 2, unlimited"),
    pytest.param({"a/b/memory.max": "134217728"}, "0::/a/b", 128, id="version 2, on a host"),
    pytest.param(
        {"a/b/memory.max": "max", "a/memory.max": "134217728"}, "0::/a/b", 128, id="version 2, limited by an ancestor"
    ),
    pytest.param(
        {"memory/memory.limit_in_bytes": "268435456"}, "4:memory:/docker/x", 256, id="version 1, in a container"
    ),
    pytest.param({"memory/memory.limit_in_bytes": UNLIMITED_V1}, "4:memory:/", None, id="version 1, unlimited"),
    pytest.param(
        {"memory/memory.limit_in_bytes": UNLIMITED_V1, "memory/x/memory.limit_in_bytes": "134217728"},
        "5:cpu,cpuacct:/\n4:memory,pids:/x\n0::/",
        128,
        id="version 1, on a host",
    ),
    pytest.param({"memory.max": "lots"}, "nonsense", None, id="nonsense"),
    pytest.param({"other/memory.max": "134217728"}, "0::/../other", None, id="a group outside of what can be seen"),
    pytest.param({}, "", None, id="no control groups"),
]


@pytest.mark.parametrize(("files", "membership", "mib"), GROUPS)
def test_the_limit_of_the_container(tmp_path: Path, files: dict[str, str], membership: str, mib: int | None) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    (tmp_path / "self").write_text(membership + "\n")
    assert container_limit_bytes(root, tmp_path / "self") == (mib and mib * MIB)


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert container_limit_bytes(tmp_path / "none", tmp_path / "neither") is None


def test_a_share_is_of_what_is_left_for_requests() -> None:
    assert share_of_memory(BASE_BYTES + 100, 0.5, least_bytes=10) == 50
    assert share_of_memory(BASE_BYTES, 0.5, least_bytes=10) == 10
    assert share_of_memory(None, 0.5, least_bytes=10) > 10
    assert DEFAULT_LIMIT_BYTES == 256 * MIB


@given(st.lists(st.integers(0, 60), max_size=20))
def test_no_more_than_the_budget_is_reserved_and_all_is_released(sizes: list[int]) -> None:
    budget = MemoryBudget("bodies", 100)
    taken = []
    for size in sizes:
        fits = budget.used_bytes + size <= 100
        assert budget.take(size) == fits
        taken += [size] * fits
        assert budget.used_bytes == sum(taken) <= 100
    for size in taken:
        budget.take(-size)
    assert budget.used_bytes == 0


def test_one_user_leaves_room_for_others() -> None:
    budget = MemoryBudget("bodies", 100)
    with budget.reservation("alice") as first, budget.reservation("alice") as second:
        first.grow_to(20)
        with pytest.raises(MemoryFull):
            second.grow_to(6)
        with budget.reservation("bob") as bobs, budget.reservation("carol") as carols:
            bobs.grow_to(25)
            carols.grow_to(25)
        second.grow_to(5)
        assert budget.used_bytes == 25
    assert budget.used_bytes == 0
    with budget.reservation("alice") as again:
        again.grow_to(25)


def test_a_reservation_grows_and_is_released_when_the_request_fails() -> None:
    budget = MemoryBudget("bodies", 100)
    with pytest.raises(ZeroDivisionError), budget.reservation() as held:  # noqa: PT012 -- what is taken before matters
        assert budget.used_bytes == 0
        held.grow_to(60)
        held.grow_to(40)
        held.check(100)
        assert budget.used_bytes == 60
        with pytest.raises(MemoryFull):
            held.check(101)
        assert budget.used_bytes == 60
        raise ZeroDivisionError
    assert budget.used_bytes == 0


def test_a_request_that_cannot_grow_makes_room_for_others_that_do() -> None:
    budget = MemoryBudget("bodies", 100)
    with budget.reservation() as first, budget.reservation() as second:
        first.grow_to(50)
        second.grow_to(50)
        with pytest.raises(MemoryFull):
            first.grow_to(60)
        second.grow_to(100)
        assert (first.reserved_bytes, second.reserved_bytes) == (0, 100)
    assert budget.used_bytes == 0


def test_large_requests_leave_room_for_small_ones() -> None:
    budget = MemoryBudget("bodies", 10 * MIB)
    with budget.reservation() as large, budget.reservation() as other, budget.reservation() as small:
        large.grow_to(8 * MIB)
        with pytest.raises(MemoryFull):
            other.grow_to(SMALL_BYTES + 1)
        small.grow_to(SMALL_BYTES)
        with pytest.raises(MemoryFull):
            small.grow_to(SMALL_BYTES + 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 4 * SMALL_BYTES)), max_size=40))
def test_however_requests_grow_every_limit_is_kept(steps: list[tuple[int, str, int]]) -> None:
    total = 16 * SMALL_BYTES
    budget = MemoryBudget("bodies", total)
    with contextlib.ExitStack() as requests:
        held = {(n, user): requests.enter_context(budget.reservation(user)) for n in range(6) for user in "abc"}
        for number, user, size in steps:
            with contextlib.suppress(MemoryFull):
                held[number, user].grow_to(size)
            sizes = {key: one.reserved_bytes for key, one in held.items()}
            assert budget.used_bytes == sum(sizes.values()) <= total
            assert sum(size for (_, owner), size in sizes.items() if owner == user) <= total * OWNER_SHARE
            assert sum(size for size in sizes.values() if size > SMALL_BYTES) <= total * LARGE_SHARE
    assert budget.used_bytes == 0
