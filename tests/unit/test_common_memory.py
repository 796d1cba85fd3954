"""How much memory there is, and budgets of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.memory import (
    BASE_BYTES,
    DEFAULT_LIMIT_BYTES,
    MIB,
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
def test_no_more_than_the_budget_is_taken_and_all_is_given_back(sizes: list[int]) -> None:
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
    with budget.held(40, "alice"):
        with pytest.raises(MemoryFull), budget.held(20, "alice"):
            pass
        with budget.held(50, "bob"), pytest.raises(MemoryFull), budget.held(11, "carol"):
            pass
        with budget.held(10, "alice"):
            assert budget.used_bytes == 50
    assert budget.used_bytes == 0
    with budget.held(50, "alice"):
        pass
