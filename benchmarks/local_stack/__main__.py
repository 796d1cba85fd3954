"""`python -m benchmarks.local_stack`: start a local stack, measure it, and print the figures."""

import argparse
import asyncio
import json
import os
import statistics

from benchmarks.local_stack.requests import cpu_costs, latencies
from benchmarks.local_stack.resources import resources
from benchmarks.local_stack.stack import running_stack
from benchmarks.local_stack.startup import measure_tasks_together, service_starts
from benchmarks.local_stack.user import signed_in_subscriber
from benchmarks.support.figures import Figure, as_json, table
from local.environment import base_environment


async def measure() -> list[Figure]:
    """Measure two stacks in sequence: one whose handler takes no time, and one whose tasks take five seconds."""
    figures = []
    async with running_stack({"ECHO_SECONDS": "0"}) as stack:
        first = stack.ready_seconds
        figures += await resources(stack)
        figures += await service_starts(stack)
        async with signed_in_subscriber(stack) as user:
            figures += await cpu_costs(stack, user)
            figures += await latencies(stack, user)
    second, more = await measure_tasks_together()
    note = f"installed environment; mean of {first:.1f} and {second:.1f}"
    return [Figure("make up to ready", statistics.mean([first, second]), "s", note), *figures, *more]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_stack", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args()
    environment = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    figures = asyncio.run(measure())
    load = os.getloadavg()[0]
    print(table(figures))
    print(f"{os.cpu_count()} cores; load of the last minute {load:.1f}, including the benchmark's own")
    if options.json:
        print(json.dumps(as_json(figures) | {"cores": os.cpu_count(), "load": load}))


if __name__ == "__main__":
    main()
