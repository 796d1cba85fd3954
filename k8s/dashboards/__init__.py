"""Grafana dashboards and the recording rules of the SLO as code; ``python -m k8s.dashboards`` writes the charts' files.

`overview`, `operator` and `stage` are dashboards; `slo`, `timing`, `scaling`, `failures` and `runtime` are the rows of
`stage`. They are built from `panels` and `queries`. `render` draws a dashboard without Grafana. Alert rules are not
here: they are written by hand in the charts.
"""
