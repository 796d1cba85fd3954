"""Without helm only the tests that do not need it are collected, and test_helm.py is skipped with the reason."""

from tests.support.helm_charts import has_helm

NEED_HELM = (
    "alert_causes", "lint", "local", "monitoring", "names", "network_policies", "nulls", "operator", "pods", "services",
    "settings", "uninstall", "validation",
)  # fmt: skip

collect_ignore_glob = [] if has_helm() else [f"test_{name}.py" for name in NEED_HELM]
