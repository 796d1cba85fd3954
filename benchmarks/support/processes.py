"""Memory and CPU time of processes."""

from dataclasses import dataclass

import psutil

BYTES_PER_MB = 1_048_576


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB. RSS counts a shared page in each process, PSS divides it among them; only Linux has PSS."""

    rss: float
    pss: float | None


def memory(pid: int) -> Memory:
    """Read the memory of a process."""
    info = psutil.Process(pid).memory_full_info()
    pss = getattr(info, "pss", None)
    return Memory(info.rss / BYTES_PER_MB, None if pss is None else pss / BYTES_PER_MB)


def cpu_seconds(pid: int) -> float:
    """Read the user and system time of all threads, with a resolution of 10 ms on most systems."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
