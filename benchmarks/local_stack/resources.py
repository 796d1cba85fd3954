"""Memory and CPU time of the idle stack."""

import asyncio
import time

import psutil

from benchmarks.local_stack.stack import Stack
from benchmarks.support.figures import Figure
from benchmarks.support.processes import cpu_seconds, memory

SETTLE_SECONDS = 3.0
MEASURE_SECONDS = 10.0


async def resources(stack: Stack) -> list[Figure]:
    """Measure the memory of each process, and the CPU time of all of them."""
    await asyncio.sleep(SETTLE_SECONDS)
    pids = {"supervisor": stack.pid, **child_pids(stack.pid)}
    before, began_at = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    await asyncio.sleep(MEASURE_SECONDS)
    seconds = time.monotonic() - began_at
    percent = {name: (cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in pids.items()}
    used = {name: memory(pid) for name, pid in pids.items()}
    pss = [each.pss for each in used.values() if each.pss is not None]
    return [
        *(Figure(f"idle RSS of {name}", used[name].rss, "MB", f"CPU {percent[name]:.1f} %") for name in pids),
        Figure("idle RSS, total", sum(each.rss for each in used.values()), "MB", "shared pages counted repeatedly"),
        Figure("idle PSS, total", sum(pss) if pss else None, "MB", "shared pages counted once; only on Linux"),
        Figure("idle CPU, total", sum(percent.values()), "%", f"of one core over {MEASURE_SECONDS:g} s"),
    ]


def child_pids(supervisor_pid: int) -> dict[str, int]:
    """Return the supervisor's children by the last part of their module's name."""
    found = {}
    for child in psutil.Process(supervisor_pid).children():
        arguments = child.cmdline()
        module = arguments[arguments.index("local.parent_watch") + 2]
        found[module.rpartition(".")[2]] = child.pid
    return found
