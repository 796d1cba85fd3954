"""Evaluates a PodMonitor as prometheus-operator does: which pods, which port, which labels.

The pods are reached through the API server's proxy, which every cluster has.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.cluster.tools import Namespace
from tests.support.helm_charts import Object
from tests.support.processes.child import running
from tests.support.processes.prometheus import Target


@contextmanager
def api_proxy() -> Iterator[str]:
    """`kubectl proxy`, with the credentials of KUBECONFIG; yields host and port."""
    with running(["kubectl", "proxy", "--port=0"], os.environ) as child:
        yield child.wait_for_output(r"(127\.0\.0\.1:\d+)\n")[1]


def targets_of(monitor: Object, namespace: Namespace, proxy: str) -> list[Target]:
    """Every running pod that `monitor` selects, at each of its endpoints."""
    pods = [pod for pod in namespace.pods(_selector(monitor)) if pod["status"]["phase"] == "Running"]
    return [_target(pod, endpoint, proxy) for pod in pods for endpoint in monitor["spec"]["podMetricsEndpoints"]]


def _selector(monitor: Object) -> str:
    wanted = monitor["spec"]["selector"]
    equal = [f"{key}={value}" for key, value in wanted.get("matchLabels", {}).items()]
    among = [
        f"{each['key']} {each['operator'].lower()} ({','.join(each['values'])})"
        for each in wanted.get("matchExpressions", [])
    ]
    return ",".join([*equal, *among])


def _target(pod: Object, endpoint: Object, proxy: str) -> Target:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    container, port = _port(pod, endpoint["port"])
    labels = {"namespace": namespace, "pod": name, "container": container, "endpoint": endpoint["port"]}
    return Target(
        address=proxy,
        path=f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{endpoint['path']}",
        labels={**labels, **_relabelled(endpoint, pod["metadata"]["labels"])},
    )


def _port(pod: Object, name: str) -> tuple[str, int]:
    (found,) = [
        (container["name"], port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("name") == name
    ]
    return found


def _relabelled(endpoint: Object, pod_labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that `replace` rules take from the pod's; another kind of rule would have to be added here."""
    known = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^A-Za-z0-9_]', '_', key)}": value for key, value in pod_labels.items()
    }
    assert all(rule["action"] == "replace" and len(rule["sourceLabels"]) == 1 for rule in endpoint["relabelings"])
    return {rule["targetLabel"]: known[rule["sourceLabels"][0]] for rule in endpoint["relabelings"]}
