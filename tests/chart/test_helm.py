"""What the charts' tests need."""

import pytest

from tests.support.helm_charts import NO_HELM, has_helm, helm


def test_helm_renders_charts() -> None:
    if not has_helm():
        pytest.skip(NO_HELM)
    assert "kind: Deployment" in helm("template", "local", "charts/notification-local", values={})
