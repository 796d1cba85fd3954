"""The memory limit of the process, and budgets from which requests reserve bytes before they use them."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from services.common.overload import OverloadedError
from services.common.telemetry.metrics import MEMORY_REFUSED

MIB = 1024 * 1024
DEFAULT_LIMIT_BYTES = 256 * MIB
"""Used where neither a setting nor a control group sets a limit. The chart gives a pod the same."""
BASE_BYTES = 96 * MIB
"""What a service uses without requests, with room for memory that the allocator does not return."""
OWNER_SHARE = 0.25
"""The part of a budget that one user may use."""
LARGE_SHARE = 0.8
"""The part of a budget for requests larger than `SMALL_BYTES`. The rest is for small ones, which are the majority."""
SMALL_BYTES = 64 * 1024
_UNLIMITED_BYTES = 1 << 60
"""Control groups of version 1 contain about 2**63 where there is no limit."""


class MemoryFull(OverloadedError):
    """The budget is used up."""

    public_detail = "Too many requests are being received right now. Try again in a moment."


class MemoryBudget:
    """Bytes that may be in use at the same time.

    :param name: the metric's label.
    """

    def __init__(self, name: str, total_bytes: int) -> None:
        self.name = name
        self.total_bytes = total_bytes
        self.used_bytes = 0
        self._used_by: Counter[str] = Counter()

    def take(self, size: int) -> bool:
        """Reserve `size` bytes and return whether there was room; a negative size releases bytes."""
        if size > 0 and self.used_bytes + size > self.total_bytes:
            return False
        self.used_bytes += size
        return True

    @contextlib.contextmanager
    def reservation(self, owner: str | None = None) -> Iterator["Reservation"]:
        """Return an empty reservation, which is released at the end of the block.

        :param owner: the user whose request it is, if known.
        """
        reservation = Reservation(self, owner)
        try:
            yield reservation
        finally:
            reservation.release()

    def _has_room(self, reserved: int, more: int, owner: str | None) -> bool:
        share = LARGE_SHARE if reserved + more > SMALL_BYTES else 1.0
        if self.used_bytes + more > self.total_bytes * share:
            return False
        return owner is None or self._used_by[owner] + more <= self.total_bytes * OWNER_SHARE

    def _add(self, owner: str | None, size: int) -> None:
        self.used_bytes += size
        if owner is None:
            return
        self._used_by[owner] += size
        if not self._used_by[owner]:
            del self._used_by[owner]


class Reservation:
    """The bytes that one request has reserved. Create it with `MemoryBudget.reservation`."""

    def __init__(self, budget: MemoryBudget, owner: str | None) -> None:
        self.reserved_bytes = 0
        self._budget = budget
        self._owner = owner

    def check(self, total_bytes: int) -> None:
        """Reserve nothing, but raise if `total_bytes` could not be reserved now.

        :param total_bytes: of the whole request.
        :raises MemoryFull: when there is no room.
        """
        budget = self._budget
        if not budget._has_room(self.reserved_bytes, total_bytes - self.reserved_bytes, self._owner):
            MEMORY_REFUSED.labels(budget.name).inc()
            used = f"{budget.used_bytes} of {budget.total_bytes} in use"
            raise MemoryFull(f"{budget.name}: {total_bytes} bytes requested, {used}")

    def grow_to(self, total_bytes: int) -> None:
        """Reserve up to `total_bytes` in all; never shrinks.

        :raises MemoryFull: when there is no room. The reservation is then released, so that of several requests that
            grow at the same time some succeed.
        """
        if total_bytes <= self.reserved_bytes:
            return
        try:
            self.check(total_bytes)
        except MemoryFull:
            self.release()
            raise
        self._budget._add(self._owner, total_bytes - self.reserved_bytes)
        self.reserved_bytes = total_bytes

    def release(self) -> None:
        """Return all bytes to the budget."""
        self._budget._add(self._owner, -self.reserved_bytes)
        self.reserved_bytes = 0


def share_of_memory(limit_bytes: int | None, share: float, *, least_bytes: int) -> int:
    """Return a share of the memory that the process may use beyond `BASE_BYTES`.

    :param limit_bytes: the limit from the settings; None for the container's.
    """
    limit = limit_bytes or container_limit_bytes() or DEFAULT_LIMIT_BYTES
    return max(least_bytes, int((limit - BASE_BYTES) * share))


def container_limit_bytes(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return the memory limit of this process's control group (version 2 or 1), or None.

    The limits of its ancestors apply as well. In a container the own group usually is the visible root.
    """
    limits = [limit for folder, file in _groups(root, membership) if (limit := _limit(folder, file, root))]
    return min(limits, default=None)


def _groups(root: Path, membership: Path) -> Iterator[tuple[Path, str]]:
    yield root, "memory.max"
    yield root / "memory", "memory.limit_in_bytes"
    for line in _text(membership).splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0":
            yield root / path.lstrip("/"), "memory.max"
        elif "memory" in controllers.split(","):
            yield root / "memory" / path.lstrip("/"), "memory.limit_in_bytes"


def _limit(folder: Path, file: str, root: Path) -> int | None:
    limits = []
    while folder == root or root in folder.parents:
        text = _text(folder / file).strip()
        if text.isdecimal() and 0 < int(text) < _UNLIMITED_BYTES:
            limits.append(int(text))
        folder = folder.parent
    return min(limits, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
