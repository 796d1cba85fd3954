"""What the stack takes while it has nothing to do."""

import asyncio
import time

from benchmarks.local_stack.processes import children, cpu_seconds, measurable, memory
from benchmarks.local_stack.stack import Stack
from benchmarks.support.figures import Figure

SETTLE_SECONDS = 3.0
WATCH_SECONDS = 10.0
SERVICE_GOAL_MB = 90
STACK_GOAL_MB = 450
IDLE_GOAL_PERCENT = 3.0
"""What is read into "near zero": of one core, the whole stack together."""
SERVICES = frozenset({"token", "ingest", "processor"})


async def idle(stack: Stack) -> list[Figure]:
    """Memory of each process, and the CPU time of all over a while."""
    if not measurable():
        return [Figure("idle memory and CPU", None, "", note="needs Linux' /proc")]
    await asyncio.sleep(SETTLE_SECONDS)
    pids = {"supervisor": stack.pid, **children(stack.pid)}
    before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    await asyncio.sleep(WATCH_SECONDS)
    seconds = time.monotonic() - began
    percent = {name: (cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in pids.items()}
    used = {name: memory(pid) for name, pid in pids.items()}
    return [
        *(
            Figure(
                f"idle RSS of {name}",
                used[name].rss,
                "MB",
                SERVICE_GOAL_MB if name in SERVICES else None,
                f"PSS {used[name].pss:.0f} MB, CPU {percent[name]:.1f} %",
            )
            for name in pids
        ),
        Figure(
            "idle RSS in sum", sum(one.rss for one in used.values()), "MB", STACK_GOAL_MB, "shared pages count again"
        ),
        Figure(
            "idle PSS in sum", sum(one.pss for one in used.values()), "MB", STACK_GOAL_MB, "shared pages count once"
        ),
        Figure(
            "idle CPU in sum", sum(percent.values()), "%", IDLE_GOAL_PERCENT, f"of one core over {WATCH_SECONDS:g} s"
        ),
    ]
