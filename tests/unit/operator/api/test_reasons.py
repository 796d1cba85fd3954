"""docs/reference/operator.md explains every reason of Degraded."""

import re

from k8s.operator.api.reasons import DegradedReason
from tests.support.helm_charts import ROOT


def test_every_reason_is_in_the_documents_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/operator.md").read_text(), re.MULTILINE)
    assert rows[: len(DegradedReason)] == [reason.value for reason in DegradedReason]
