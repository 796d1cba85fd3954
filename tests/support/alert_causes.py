"""What Prometheus would have of two stages and an operator while something is broken, as a promtool test.

Stage dev in namespace shop is well for an hour, broken for 35 minutes and well again for 30; stage prod in namespace blog
is well all the time. A cause (tests/chart/causes/*.yaml) says how the series of stage dev differ from those of a stage
that is well, and which alerts are firing when.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

PHASES = (60, 35, 30)
"""Minutes: before the cause, during it, after it."""
ALERT_LABELS = ("alertname", "namespace", "stage", "service", "severity")

SAME = "same"
"""As in a stage that is well."""

Phase = float | str | None | list[list[Any]]
"""A value, or a counter's growth a minute; nothing where the series does not exist; or pairs of minutes and those."""
Series = dict[str, list[Phase]]


def well(namespace: str, stage: str) -> Series:
    """The series of a stage with two pods of each service, 60 tasks a minute and one new token every 6 s."""
    series: Series = {}

    def add(metric: str, value: Phase, service: str = "", **labels: str) -> None:
        pods = [f"{service}-{number}" for number in (1, 2)] if service else [""]
        for pod in pods:
            added = {"namespace": namespace, "stage": stage, **labels}
            added |= {"service": service, "pod": pod} if service else {"job": "ops/op", "pod": "operator-1"}
            series[named(metric, added)] = [value, value, value]

    for service in ("token", "ingest", "processor"):
        add("up", 1, service)
        add("notification_api_ready", 1, service)
        add("process_start_time_seconds", 0, service)
    for route in ("/token", "/notifications"):
        add("notification_api_http_requests_total", 15, "token", method="GET", route=route, status="200")
    add("notification_api_http_requests_total", 30, "ingest", method="POST", route="/task", status="202")
    for ending, labels in (("bucket", {"le": "0.1"}), ("bucket", {"le": "+Inf"}), ("count", {})):
        metric = f"notification_api_http_request_duration_seconds_{ending}"
        add(metric, 30, "ingest", method="POST", route="/task", **labels)
    add("notification_api_tasks_accepted_total", 30, "ingest")
    add("notification_api_sqs_calls_total", 30, "ingest", operation="send", outcome="ok")
    for operation in ("receive", "delete"):
        add("notification_api_sqs_calls_total", 20, "processor", operation=operation, outcome="ok")
    add("notification_api_momento_calls_total", 5, "token", operation="vend", outcome="ok")
    add("notification_api_momento_calls_total", 15, "token", operation="dictionary-fetch", outcome="ok")
    for operation in ("publish", "dictionary-set"):
        add("notification_api_momento_calls_total", 30, "processor", operation=operation, outcome="ok")
    for service in ("token", "processor"):
        add("notification_api_momento_key_age_seconds", 86_400, service)
    _add_processor(add)
    _add_operator(add)
    return series


def _add_processor(add: Any) -> None:
    add("notification_api_messages_received_total", 30, "processor")
    add("notification_api_tasks_processed_total", 30, "processor", outcome="finished")
    add("notification_api_tasks_in_process", 1, "processor")
    add("notification_api_receiving_paused", 0, "processor")
    add("notification_api_leases_lost_total", 0, "processor")
    add("notification_api_loop_blocked_total", 0, "processor")
    for histogram in ("queue_wait", "end_to_end"):
        for bound in ("1.1", "30.0", "300.0", "3600.0", "+Inf"):
            add(f"notification_api_{histogram}_seconds_bucket", 30, "processor", le=bound)
        add(f"notification_api_{histogram}_seconds_count", 30, "processor")


def _add_operator(add: Any) -> None:
    """What the operator measures of a stage."""
    add("notification_api_operator_scaling_messages_visible", 0)
    add("notification_api_operator_scaling_messages_in_flight", 2)
    add("notification_api_operator_backlog_seconds", 0)
    add("notification_api_operator_dead_letters", 0)
    add("notification_api_operator_scaling_held", 0)
    add("notification_api_operator_taken_up_timestamp_seconds", 0)
    add("notification_api_operator_last_pass_timestamp_seconds", "time")


def named(metric: str, labels: Mapping[str, str]) -> str:
    """A series in PromQL's notation, labels in order."""
    matchers = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{metric}{{{matchers}}}"


def broken(changes: Mapping[str, list[Phase]]) -> Series:
    """The series of stage dev in namespace shop: those of a stage that is well, with a cause's `changes`.

    A change's key is a metric with some of its labels: it applies to every series that has them, or is a new series, one
    for each of the service's two pods unless it names a pod.
    """
    series = well("shop", "dev") | {OPERATOR: [2, 2, 2]}
    for key, phases in changes.items():
        metric, _, inner = key.removesuffix("}").partition("{")
        asked = dict(part.replace('"', "").split("=") for part in inner.split(",") if part)
        hits = [name for name in series if metric in ("", name.partition("{")[0]) and _has(name, asked)]
        for name in hits:
            series[name] = [base if phase == SAME else phase for base, phase in zip(series[name], phases, strict=True)]
        for name in [] if hits else _new(metric, asked):
            series[name] = phases
    return series


def _has(name: str, asked: Mapping[str, str]) -> bool:
    inner = name.partition("{")[2].removesuffix("}")
    return all(f'{label}="{value}"' in inner.split(",") for label, value in asked.items())


def _new(metric: str, labels: Mapping[str, str]) -> Iterator[str]:
    for number in (1, 2):
        pod = {"pod": f"{labels['service']}-{number}"} | labels
        yield named(metric, {"namespace": "shop", "stage": "dev"} | pod)


OPERATOR = named("notification_api_operator_stages", {"namespace": "ops", "job": "ops/op", "pod": "operator-1"})


def values(name: str, phases: list[Phase]) -> str:
    """A series' values in promtool's notation, one a minute."""
    is_counter = name.partition("{")[0].endswith(("_total", "_bucket", "_count"))
    parts: list[str] = []
    now, minute = 0.0, 0
    for minutes, phase in zip(PHASES, phases, strict=True):
        for lasts, value in phase if isinstance(phase, list) else [[minutes, phase]]:
            if value is None:
                # Prometheus marks a series that ends as stale; a new process counts anew.
                parts += [f"_x{lasts}"] if not minute else ["stale", f"_x{lasts - 1}"] if lasts > 1 else ["stale"]
                now = 0.0
            elif value == "time":
                parts.append(f"{minute * 60}+60x{lasts - 1}")
            elif is_counter:
                parts.append(f"{now:g}+{value:g}x{lasts - 1}")
                now += value * lasts
            else:
                parts.append(f"{value}x{lasts - 1}")
            minute += lasts
    return " ".join(parts)


def promtool_test(cause: Mapping[str, Any], rule_files: list[str]) -> str:
    """A cause as a test file of promtool: which alerts are firing, all of them, at each time it names."""
    series = well("blog", "prod") | broken(cause["series"])
    return yaml.safe_dump(
        {
            "rule_files": rule_files,
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values(name, each)} for name, each in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": f'sum by ({", ".join(ALERT_LABELS)}) (ALERTS{{alertstate="firing"}})',
                            "eval_time": f"{PHASES[0] + minute}m",
                            "exp_samples": [{"labels": _expected(alert), "value": 1} for alert in alerts],
                        }
                        for minute, alerts in cause["firing"].items()
                    ],
                }
            ],
        },
        sort_keys=False,
        width=1_000,
    )


def _expected(alert: str) -> str:
    """`critical RequestsFailing token` as labels; those of the operator itself have no stage."""
    severity, name, *rest = alert.split()
    labels = {"alertname": f"NotificationApi{name}", "severity": severity}
    labels |= {} if name == "OperatorDown" else {"namespace": "shop", "stage": "dev"}
    return named("", labels | ({"service": rest[0]} if rest else {}))


def causes(folder: Path) -> dict[str, dict[str, Any]]:
    """The causes by name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))}
