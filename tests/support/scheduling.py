"""Which tests run in one xdist worker: those of one unit, one after another."""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
ONE_TEST_A_UNIT = "tests/integration/processor/"
"""Every test has a separate stage on servers that the session shares, so a file need not stay together."""
STACK_FIXTURE = "local_stack: LocalStack"


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Starts units in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return "stack" for all files that share the local stack, the test where it is independent, else the file."""
    if nodeid.startswith(ONE_TEST_A_UNIT):
        return nodeid
    file = nodeid.partition("::")[0]
    return "stack" if _uses_stack(file) else file


@cache
def _uses_stack(file: str) -> bool:
    return STACK_FIXTURE in (ROOT / file).read_text(encoding="utf-8")
