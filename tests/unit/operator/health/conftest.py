"""A healthy release, and metrics that no test leaves behind."""

from collections.abc import Iterator

import pytest

from k8s.operator.metrics import remove_stage_series
from tests.support.operator.release import ReleaseBuilder


@pytest.fixture
def release() -> ReleaseBuilder:
    return ReleaseBuilder()


@pytest.fixture(autouse=True)
def _remove_series() -> Iterator[None]:
    yield
    remove_stage_series("n", "dev")
