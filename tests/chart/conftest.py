"""Without helm none of `test_chart_*` is collected, and test_helm.py says so in one line."""

from tests.support.helm_charts import has_helm

collect_ignore_glob = [] if has_helm() else ["test_chart_*.py"]
