"""How much memory the process may use, and budgets of bytes that are taken before the bytes are held."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from services.common.errors import Transient
from services.common.metrics import MEMORY_REFUSED

MIB = 1024 * 1024
DEFAULT_LIMIT_BYTES = 256 * MIB
"""Where neither a setting nor a control group limits the process: what the chart gives to a pod."""
BASE_BYTES = 96 * MIB
"""What a service uses without requests, with room for what the allocator does not give back."""
OWNER_SHARE = 0.5
_UNLIMITED_BYTES = 1 << 60
"""Control groups of version 1 answer about 2**63 where there is no limit."""


class MemoryFull(Transient):
    """The budget is used up."""

    public_detail = "Too many requests are being received right now. Try again in a moment."


class MemoryBudget:
    """Bytes that may be held at the same time.

    :param name: a short bounded word for the metric.
    """

    def __init__(self, name: str, total_bytes: int) -> None:
        self.name = name
        self.total_bytes = total_bytes
        self.used_bytes = 0
        self._used_by: Counter[str] = Counter()

    def take(self, size: int) -> bool:
        """Take `size` bytes, or nothing; answers whether they could be taken. A negative size gives back."""
        if size > 0 and self.used_bytes + size > self.total_bytes:
            return False
        self.used_bytes += size
        return True

    @contextlib.contextmanager
    def held(self, size: int, owner: str | None = None) -> Iterator[None]:
        """Take `size` bytes for the length of the block.

        :param owner: who holds them, a user mostly: nobody may hold more than `OWNER_SHARE` of the budget, so that one
            user's slow uploads leave room for others.
        :raises MemoryFull: when there are not as many.
        """
        has_share = owner is None or self._used_by[owner] + size <= self.total_bytes * OWNER_SHARE
        if not has_share or not self.take(size):
            MEMORY_REFUSED.labels(self.name).inc()
            raise MemoryFull(f"{self.name}: {size} bytes wanted, {self.used_bytes} of {self.total_bytes} in use")
        self._note(owner, size)
        try:
            yield
        finally:
            self._note(owner, -size)
            self.take(-size)

    def _note(self, owner: str | None, size: int) -> None:
        if owner is None:
            return
        self._used_by[owner] += size
        if not self._used_by[owner]:
            del self._used_by[owner]


def share_of_memory(limit_bytes: int | None, share: float, *, least_bytes: int) -> int:
    """Return a share of what the process may use beyond `BASE_BYTES`.

    :param limit_bytes: the limit by setting; None for the one of the container.
    """
    limit = limit_bytes or container_limit_bytes() or DEFAULT_LIMIT_BYTES
    return max(least_bytes, int((limit - BASE_BYTES) * share))


def container_limit_bytes(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return the memory limit of the control group of this process, versions 2 and 1; None where there is none.

    A group is limited by its ancestors as well. In a container the own group usually is the root of what can be seen.
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
