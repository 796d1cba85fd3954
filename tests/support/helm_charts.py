"""Charts rendered by the real helm, as Kubernetes objects."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.yaml_text import load_all_yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
STAGE_CHART = CHARTS / "notification-api"
LOCAL_CHART = CHARTS / "notification-local"
OPERATOR_CHART = CHARTS / "notification-operator"
MONITORING_APIS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
GATEWAY_API = "gateway.networking.k8s.io/v1/HTTPRoute"
STAGE_API = "notification-api.io/v1alpha1/Stage"
KEDA_API = "keda.sh/v1alpha1/ScaledObject"

Object = dict[str, Any]

EXISTING: Object = {
    "stageName": "dev",
    "allowedOrigins": ["https://app.example.com"],
    "aws": {"region": "eu-central-1"},
    "queue": {
        "url": "https://sqs.eu-central-1.amazonaws.com/123456789012/notification-api-dev-tasks",
        "deadLetterUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/notification-api-dev-dlq",
    },
    "userPool": {"id": "eu-central-1_AbCdEfGhI", "clientId": "1h57kf5cpq17m0eml12EXAMPLE"},
    "momento": {"cacheName": "notification-api-dev"},
}
"""Values of a stage with existing resources, and nothing else."""


class HelmError(Exception):
    """Helm failed; the text is its error message."""


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> str:
    """Run helm with values from its input. Raises HelmError."""
    given = ("-f", "-") if values is not None else ()
    done = subprocess.run(
        ["helm", *arguments, *given],
        input=json.dumps(values) if values is not None else None,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"GOGC": "400"},  # collects garbage less often: a fifth less CPU time
    )
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def render(
    values: Mapping[str, Any] | None = None,
    *,
    chart: Path = STAGE_CHART,
    release: str = "dev",
    namespace: str = "stages",
    apis: Sequence[str] = (),
) -> list[Object]:
    """The objects that an install would create. `values` are merged into EXISTING for the stage's chart."""
    merged = merged_values(EXISTING if chart == STAGE_CHART else {}, values or {})
    return [dict(each) for each in _rendered(json.dumps(merged), chart, release, namespace, tuple(apis))]


@cache
def _rendered(values: str, chart: Path, release: str, namespace: str, apis: tuple[str, ...]) -> tuple[Object, ...]:
    known = [option for api in apis for option in ("--api-versions", api)]
    text = helm("template", release, str(chart), "-n", namespace, *known, values=json.loads(values))
    return tuple(each for each in load_all_yaml(text) if each)


def merged_values(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    """Values merged as helm merges files: `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = (
            merged_values(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def refusal(values: Mapping[str, Any], *, chart: Path = STAGE_CHART) -> str:
    """Helm's error for values that cannot be used; fails if it accepts them."""
    try:
        render(values, chart=chart)
    except HelmError as error:
        return str(error)
    raise AssertionError(f"the chart accepted {values}")


def of_kind(objects: Sequence[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def pod_specs(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod that would run, those of helm tests included, with a name for messages."""
    for each in objects:
        if each["kind"] == "Pod":
            yield f"Pod {each['metadata']['name']}", each["spec"]
        elif "template" in each.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]["spec"]


def containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def environment(objects: Sequence[Object], component: str, release: str = "dev") -> dict[str, str]:
    """The environment of a service: its ConfigMap, and the variables that override it."""
    (container,) = named(objects, "Deployment", f"{release}-{component}")["spec"]["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    settings: dict[str, str] = dict(named(objects, "ConfigMap", source["configMapRef"]["name"])["data"])
    return settings | {each["name"]: each["value"] for each in container["env"] if "value" in each}
