"""Logs, metrics, traces, and the faults that /readyz reports.

This package owns how they are written: JSON lines, Prometheus metrics, OpenTelemetry spans. It defines the metrics that
every service has; the metrics of a single service are defined in that service.
"""
