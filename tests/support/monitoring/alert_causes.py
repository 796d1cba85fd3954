"""The series of two stages and an operator while something is broken, as a promtool test.

Stage dev in namespace shop is healthy for half an hour, broken for 35 minutes and healthy again for 30; stage prod in
namespace blog is always healthy. A cause (tests/chart/causes/*.yaml) contains the series of stage dev that differ from
those of a healthy stage, and the alerts that fire at each time.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.support.yaml_text import load_yaml

PHASES = (30, 35, 30)
"""Minutes: before the cause, during it, after it."""
ALERT_LABELS = ("alertname", "namespace", "stage", "service", "severity")

SAME = "same"
"""As in a healthy stage."""

Phase = float | str | None | list[list[Any]]
"""A value or a counter's growth a minute, None where the series does not exist, or pairs of minutes and such values."""
Series = dict[str, list[Phase]]
NAME = "notification_api_"
TYPES = ("default", "report")
BOUNDS = ("1.1", "30.0", "300.0", "3600.0", "+Inf")
EVERY_POD: dict[str, Phase] = {"up": 1, f"{NAME}ready": 1, "process_start_time_seconds": 0}
TOKEN: dict[str, Phase] = {
    f"{NAME}http_requests_total{{method=GET,route=/token,status=200}}": 15,
    f"{NAME}http_requests_total{{method=GET,route=/notifications,status=200}}": 15,
    f"{NAME}momento_calls_total{{operation=vend,outcome=ok}}": 5,
    f"{NAME}momento_calls_total{{operation=dictionary-fetch,outcome=ok}}": 15,
    f"{NAME}momento_key_age_seconds": 86_400,
}
INGEST: dict[str, Phase] = {
    f"{NAME}http_requests_total{{method=POST,route=/task,status=202}}": 30,
    f"{NAME}http_request_duration_seconds_bucket{{method=POST,route=/task,le=0.1}}": 30,
    f"{NAME}http_request_duration_seconds_bucket{{method=POST,route=/task,le=+Inf}}": 30,
    f"{NAME}http_request_duration_seconds_count{{method=POST,route=/task}}": 30,
    f"{NAME}tasks_accepted_total": 30,
    f"{NAME}tasks_available_total": 30,
    f"{NAME}sqs_calls_total{{operation=send,outcome=ok}}": 30,
}
PROCESSOR: dict[str, Phase] = {
    f"{NAME}sqs_calls_total{{operation=receive,outcome=ok}}": 20,
    f"{NAME}sqs_calls_total{{operation=delete,outcome=ok}}": 20,
    f"{NAME}momento_calls_total{{operation=publish,outcome=ok}}": 30,
    f"{NAME}momento_calls_total{{operation=dictionary-set,outcome=ok}}": 30,
    f"{NAME}momento_key_age_seconds": 86_400,
    f"{NAME}messages_received_total": 30,
    **{f"{NAME}tasks_processed_total{{outcome=finished,type={kind}}}": 15 for kind in TYPES},
    f"{NAME}tasks_in_process": 1,
    f"{NAME}receiving_paused": 0,
    f"{NAME}leases_lost_total": 0,
    f"{NAME}event_loop_blocked_total": 0,
    **{f"{NAME}queue_wait_seconds_bucket{{le={bound},type={kind}}}": 15 for bound in BOUNDS for kind in TYPES},
    **{f"{NAME}queue_wait_seconds_count{{type={kind}}}": 15 for kind in TYPES},
    **{f"{NAME}end_to_end_seconds_bucket{{le={bound},type={kind}}}": 15 for bound in BOUNDS for kind in TYPES},
    **{f"{NAME}end_to_end_seconds_count{{type={kind}}}": 15 for kind in TYPES},
}
OPERATOR_OF_A_STAGE: dict[str, Phase] = {
    f"{NAME}operator_scaling_messages_visible": 0,
    f"{NAME}operator_scaling_messages_in_flight": 2,
    f"{NAME}operator_backlog_seconds": 0,
    f"{NAME}operator_dead_letters": 0,
    f"{NAME}operator_scaling_blocked": 0,
    f"{NAME}operator_stage_first_seen_timestamp_seconds": 0,
    f"{NAME}operator_last_reconcile_timestamp_seconds": "time",
}
"""The operator's metrics of a stage."""


def healthy(namespace: str, stage: str) -> Series:
    """The series of a stage with two pods of each service, 60 tasks a minute and one new token every 6 s."""
    series: Series = {}
    for service, metrics in (("token", TOKEN), ("ingest", INGEST), ("processor", PROCESSOR), ("", OPERATOR_OF_A_STAGE)):
        for metric, value in ({**metrics, **EVERY_POD} if service else metrics).items():
            name, _, inner = metric.removesuffix("}").partition("{")
            labels = {"namespace": namespace, "stage": stage, **labels_of(inner)}
            for pod in (f"{service}-1", f"{service}-2") if service else ("operator-1",):
                added = {"service": service, "pod": pod} if service else {"job": "ops/op", "pod": pod}
                series[named(name, labels | added)] = [value, value, value]
    return series


def named(metric: str, labels: Mapping[str, str]) -> str:
    """A series in PromQL's notation, labels in order."""
    matchers = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{metric}{{{matchers}}}"


def broken(changes: Mapping[str, list[Phase]]) -> Series:
    """The series of stage dev in namespace shop: those of a healthy stage, with a cause's `changes`.

    A change's key is a metric with some of its labels: it applies to every series that has them, or is a new series,
    one for each of the service's two pods unless it names a pod. Its numbers are those of all task types together.
    """
    series = healthy("shop", "dev") | {OPERATOR: [2, 2, 2]}
    for key, phases in changes.items():
        metric, _, inner = key.removesuffix("}").partition("{")
        asked = labels_of(inner)
        hits = [name for name in series if metric in ("", name.partition("{")[0]) and _has(name, asked)]
        for name in hits:
            given = [_share_of_type(phase) for phase in phases] if 'type="' in name else phases
            series[name] = [base if phase == SAME else phase for base, phase in zip(series[name], given, strict=True)]
        for name in [] if hits else _new(metric, asked):
            series[name] = phases
    return series


def _share_of_type(phase: Phase) -> Phase:
    if isinstance(phase, list):
        return [[minutes, _share_of_type(value)] for minutes, value in phase]
    return phase / len(TYPES) if isinstance(phase, int | float) else phase


def labels_of(inner: str) -> dict[str, str]:
    """Labels, as written between braces without quotes."""
    return dict(part.split("=", 1) for part in inner.split(",") if part)


def _has(name: str, asked: Mapping[str, str]) -> bool:
    inner = name.partition("{")[2].removesuffix("}")
    return all(f'{label}="{value}"' in inner.split(",") for label, value in asked.items())


def _new(metric: str, labels: dict[str, str]) -> Iterator[str]:
    for number in (1, 2):
        pod = {"pod": f"{labels['service']}-{number}"} | labels
        yield named(metric, {"namespace": "shop", "stage": "dev"} | pod)


OPERATOR = named("notification_api_operator_stages", {"namespace": "ops", "job": "ops/op", "pod": "operator-1"})


def values(name: str, phases: list[Phase]) -> str:
    """A series' values in promtool's notation, one a minute."""
    is_counter = name.partition("{")[0].endswith(("_total", "_bucket", "_count"))
    parts: list[str] = []
    total = 0.0
    minute = 0
    for minutes, phase in _spans(phases):
        if phase is None:
            parts += _gone(minutes, is_first=not minute)
            total = 0.0  # a new process starts at zero
        elif phase == "time":
            parts.append(f"{minute * 60}+60x{minutes - 1}")
        elif is_counter:
            parts.append(f"{total:g}+{phase:g}x{minutes - 1}")
            total += phase * minutes
        else:
            parts.append(f"{phase}x{minutes - 1}")
        minute += minutes
    return " ".join(parts)


def _spans(phases: list[Phase]) -> Iterator[tuple[int, Any]]:
    for minutes, phase in zip(PHASES, phases, strict=True):
        yield from ((int(lasts), value) for lasts, value in phase) if isinstance(phase, list) else [(minutes, phase)]


def _gone(minutes: int, *, is_first: bool) -> list[str]:
    """No series; Prometheus marks one that ends as stale."""
    if is_first:
        return [f"_x{minutes}"]
    return ["stale", f"_x{minutes - 1}"] if minutes > 1 else ["stale"]


def promtool_test(cause: Mapping[str, Any], rule_files: list[str]) -> str:
    """A cause as a test file of promtool: which alerts are firing, all of them, at each time it names."""
    return _test_file(healthy("blog", "prod") | broken(cause["series"]), rule_files, cause["firing"])


def promtool_test_beside(every: Mapping[str, Mapping[str, Any]], rule_files: list[str]) -> str:
    """All causes at once, each in a separate stage beside stage prod, as a test file in which nothing fires."""
    series = healthy("blog", "prod")
    for cause, each in every.items():
        there = {
            name.replace('stage="dev"', f'stage="{cause}"'): phases for name, phases in broken(each["series"]).items()
        }
        series |= {name: phases for name, phases in there.items() if f'stage="{cause}"' in name}
    times = {minute for each in every.values() for minute in each["firing"]}
    return _test_file(series, rule_files, {minute: [] for minute in sorted(times)})


def _test_file(series: Series, rule_files: list[str], firing: Mapping[int, list[str]]) -> str:
    test = yaml.safe_dump(
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
                        for minute, alerts in firing.items()
                    ],
                }
            ],
        },
        sort_keys=False,
        width=1_000,
    )
    return str(test)


def _expected(alert: str) -> str:
    return named("", labels_of_alert(alert))


def labels_of_alert(alert: str) -> dict[str, str]:
    """The labels of `critical RequestsFailing token`; the alert about the operator itself has no stage."""
    severity, name, *rest = alert.split()
    labels = {"alertname": f"NotificationApi{name}", "severity": severity}
    labels |= {} if name == "OperatorDown" else {"namespace": "shop", "stage": "dev"}
    return labels | ({"service": rest[0]} if rest else {})


def causes(folder: Path) -> dict[str, dict[str, Any]]:
    """The causes by name."""
    return {path.stem: load_yaml(path.read_text()) for path in sorted(folder.glob("*.yaml"))}
