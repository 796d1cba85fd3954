"""Memory and CPU time of processes, from /proc; elsewhere they are not measured."""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KIB_PER_MB = 1024
"""In MB as `top` and the goals mean it: 1,048,576 bytes."""


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB. RSS counts a page that processes share in each of them, PSS divides it among them."""

    rss: float
    pss: float


def measurable() -> bool:
    return (PROC / "self" / "smaps_rollup").exists()


def memory(pid: int) -> Memory:
    fields = dict(
        line.split(":", 1) for line in (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    )
    rss, pss = (int(fields[name].split()[0]) / KIB_PER_MB for name in ("Rss", "Pss"))
    return Memory(rss, pss)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far, to 10 ms on most systems (proc(5))."""
    fields = (PROC / str(pid) / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> dict[str, int]:
    """The processes that the supervisor started, by the last part of their module's name."""
    found = {}
    for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii").split():
        arguments = (PROC / child / "cmdline").read_text(encoding="utf-8").split("\0")
        module = arguments[arguments.index("local.parent_watch") + 2]
        found[module.rpartition(".")[2]] = int(child)
    return found
