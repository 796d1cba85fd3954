"""Shared by all tests: the Hypothesis profile, the markers, and the order of the files."""

import gc
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.requirements import REQUIREMENTS, missing_requirement
from tests.support.scheduling import UnitScheduling, unit_of

# The duration of an example fails no property test, since the machine may be busy.
settings.register_profile("without_deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without_deadline")

MARKERS_BY_FOLDER = {
    "browser": ("chromium",),
    "cluster": ("cluster",),
    "docs": ("documentation",),
    "package": ("chromium", "package"),
}
"""Every test in these folders of tests/ has the markers."""
MARKERS_BY_FIXTURE = {"local_stack": "stack"}
REQUIRED = frozenset(os.environ.get("REQUIRED_TEST_MARKERS", "").split())
"""Markers whose tests fail instead of being skipped where their requirement is missing."""


def pytest_itemcollected(item: pytest.Item) -> None:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    for marker in MARKERS_BY_FOLDER.get(folder, ()):
        item.add_marker(marker)
    for fixture in MARKERS_BY_FIXTURE.keys() & getattr(item, "fixturenames", ()):
        item.add_marker(MARKERS_BY_FIXTURE[fixture])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put units with many slow tests or browser tests first, so that none starts when most workers are done."""
    slow = Counter(unit_of(item.nodeid) for item in items if any(map(item.get_closest_marker, ("slow", "chromium"))))
    items.sort(key=lambda item: -slow[unit_of(item.nodeid)])


def pytest_collection_finish() -> None:
    """Exempt the modules and the collected tests from garbage collection: a fifth of the CPU time of the unit tests."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling | None:
    return UnitScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names a requirement that this machine does not have."""
    for marker in REQUIREMENTS:
        if item.get_closest_marker(marker) and (reason := missing_requirement(marker)):
            if marker in REQUIRED:
                pytest.fail(f"{reason} (REQUIRED_TEST_MARKERS names {marker!r})", pytrace=False)
            pytest.skip(reason)
