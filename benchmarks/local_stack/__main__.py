"""`python -m benchmarks.local_stack`: start a stack, measure it, print the figures beside the goals."""

import argparse
import asyncio
import json
import os
import statistics

from benchmarks.local_stack.cost import costs
from benchmarks.local_stack.idle import idle
from benchmarks.local_stack.latency import latency
from benchmarks.local_stack.stack import running_stack
from benchmarks.local_stack.start import starts
from benchmarks.local_stack.together import in_a_process_of_its_own
from benchmarks.local_stack.user import user_of
from benchmarks.support.figures import Figure, as_json, table
from local.environment import base_environment

READY_GOAL_SECONDS = 5.0


async def measure() -> list[Figure]:
    """Two stacks, one after the other: one whose handler takes no time, and one as it is by default."""
    figures = []
    async with running_stack({"ECHO_SECONDS": "0"}) as stack:
        first = stack.ready_seconds
        figures += await idle(stack)
        figures += await starts(stack)
        async with user_of(stack) as user:
            figures += await costs(stack, user)
            figures += await latency(stack, user)
    second, more = await in_a_process_of_its_own()
    note = f"installed environment; mean of {first:.1f} and {second:.1f}"
    ready = Figure("make up to ready", statistics.mean([first, second]), "s", READY_GOAL_SECONDS, note)
    return [ready, *figures, *more]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_stack", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args()
    kept = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    figures = asyncio.run(measure())
    load = os.getloadavg()[0]
    print(table(figures))
    print(f"{os.cpu_count()} cores; load of the last minute {load:.1f}, the benchmark's own included")
    if options.json:
        print(json.dumps(as_json(figures) | {"cores": os.cpu_count(), "load": load}))
    # The threads that read the news never end.
    os._exit(0)


if __name__ == "__main__":
    main()
