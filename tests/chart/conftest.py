"""All of these tests need helm; without it there is one line that says so."""

import pytest

from tests.support.helm_charts import NO_HELM, has_helm


@pytest.fixture(autouse=True, scope="session")
def helm_is_there() -> None:
    if not has_helm():
        pytest.skip(NO_HELM)
