"""CPU time that a request costs the service, from the service process's own account."""

from collections.abc import Awaitable, Callable

from benchmarks.local_stack.processes import children, cpu_seconds, measurable
from benchmarks.local_stack.stack import Stack
from benchmarks.local_stack.user import User
from benchmarks.support.figures import Figure

WARM_UP = 30
REQUESTS = 400
GOAL_MS = 3.0


async def costs(stack: Stack, user: User) -> list[Figure]:
    """Of GET /token for a user whose token is cached, and of POST /task; one after another on one connection."""
    if not measurable():
        return [Figure("CPU of a request", None, "", note="needs Linux' /proc")]
    pids = children(stack.pid)

    async def get_token() -> None:
        await user.stage.get_token()

    posted: set[str] = set()

    async def post_task() -> None:
        posted.add((await user.submit())[0])

    token = await _cost(pids["token"], get_token)
    ingest = await _cost(pids["ingest"], post_task)
    await user.notified(posted)
    note = f"mean of {REQUESTS}, one at a time, idle work of the service included"
    return [
        Figure("CPU of GET /token, cached", token, "ms", GOAL_MS, note),
        Figure("CPU of POST /task", ingest, "ms", GOAL_MS, note),
    ]


async def _cost(pid: int, request: Callable[[], Awaitable[None]]) -> float:
    for _ in range(WARM_UP):
        await request()
    before = cpu_seconds(pid)
    for _ in range(REQUESTS):
        await request()
    return (cpu_seconds(pid) - before) / REQUESTS * 1000
