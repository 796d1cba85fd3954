"""Which tests run in which xdist worker: those of one unit in one, one after another."""

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
ONE_TEST_A_UNIT = ("tests/integration/processor/", "tests/unit/services/processor/test_guarantees.py")
"""Long files whose tests share at most the servers of the session, so they need not stay together."""
STACK_FIXTURE = "local_stack: LocalStack"
BROWSER_WORKERS = 3
"""The first workers take the browser tests, the others only when nothing else is left, since each worker that has one
starts a local stack and Chromium."""


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Starts units in the order of the collection, browser tests in the first workers."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        if self.nodes.index(node) >= BROWSER_WORKERS:
            others = (unit for unit in self.workqueue if not unit.startswith("tests/browser/"))
            if (unit := next(others, None)) is not None:
                self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)


def unit_of(nodeid: str) -> str:
    """Return "stack" for all files that share the local stack, the test where it is independent, else the file."""
    if nodeid.startswith(ONE_TEST_A_UNIT):
        return nodeid
    file = nodeid.partition("::")[0]
    return "stack" if _uses_stack(file) else file


@cache
def _uses_stack(file: str) -> bool:
    return STACK_FIXTURE in (ROOT / file).read_text(encoding="utf-8")
