"""The charts on a real API server, and the pods that they install."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.reach import Pods
from tests.support.cluster.stages import InstalledStages
from tests.support.cluster.tools import (
    IMAGE,
    IMAGE_TAG,
    ClusterError,
    fresh_namespace,
    image_values,
    read_text,
    run,
    wait_until_sync,
)
from tests.support.helm_charts import (
    EXISTING,
    GATEWAY_API,
    KEDA_API,
    LOCAL_CHART,
    MONITORING_APIS,
    OPERATOR_CHART,
    STAGE_API,
    STAGE_CHART,
    Object,
    merged_values,
    render,
)

ALL: Object = {
    "aws": {"credentialsSecret": "keys"},
    "ingress": {"enabled": True, "host": "a.example.com", "className": "nginx", "tlsSecretName": "cert"},
    "tests": {"userSecret": "user"},
    "networkPolicy": {
        "apiFrom": [{"namespaceSelector": {}}],
        "egress": [{"ports": [{"protocol": "TCP", "port": 5432}]}],
    },
    "token": {
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/x"}},
        "podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "50%"},
        "podAnnotations": {"a": "b"},
        "podLabels": {"a": "b"},
        "extraEnv": [{"name": "A", "value": "b"}],
    },
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "image": {"pullSecrets": [{"name": "registry"}]},
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}, "data": {"a": "b"}}
    ],
}
MADE: Object = {
    "queue": {"url": "", "deadLetterUrl": ""},
    "userPool": {"id": "", "clientId": ""},
    "momento": {"cacheName": ""},
}
ROUTE: Object = {"httpRoute": {"enabled": True, "host": "a.example.com", "parentRefs": [{"name": "gateway"}]}}
RENDERINGS: list[Any] = [
    pytest.param(STAGE_CHART, {}, (), id="bare"),
    pytest.param(STAGE_CHART, {"aws": {"emulated": True, "endpointUrl": "http://aws:4566"}}, (), id="emulated"),
    pytest.param(STAGE_CHART, ALL, MONITORING_APIS, id="everything"),
    pytest.param(STAGE_CHART, MADE, (*MONITORING_APIS, STAGE_API), id="made"),
    pytest.param(
        STAGE_CHART, MADE | {"scaling": {"engine": "keda"}}, (*MONITORING_APIS, STAGE_API, KEDA_API), id="keda"
    ),
    pytest.param(STAGE_CHART, ROUTE, (GATEWAY_API,), id="route"),
    pytest.param(
        STAGE_CHART, {"networkPolicy": {"enabled": False}, "token": {"podDisruptionBudget": None}}, (), id="least"
    ),
    pytest.param(
        LOCAL_CHART, {"stages": ["dev", "pr-7"], "networkPolicy": {"fromNamespaces": ["a", "b"]}}, (), id="local"
    ),
    pytest.param(OPERATOR_CHART, {"clusterName": "here"}, MONITORING_APIS, id="operator"),
    pytest.param(OPERATOR_CHART, {"clusterName": "here", "namespaces": ["default"]}, (), id="operator of some"),
]


def lacks(*apis: str) -> list[str]:
    """Those of these kinds that the cluster does not have, each as group/version/kind."""
    named = [api.split("/") for api in apis]
    known = {group: run("kubectl", "api-resources", "--api-group", group, "--no-headers") for group, _, _ in named}
    return [kind for group, _, kind in named if kind not in known[group].split()]


@pytest.mark.parametrize(("chart", "values", "apis"), RENDERINGS)
def test_the_api_server_accepts_every_rendering_without_a_warning(
    chart: Path, values: Object, apis: tuple[str, ...]
) -> None:
    if STAGE_API in apis:  # the operator's chart installs the CRD and never deletes it
        run("kubectl", "apply", "--server-side", "-f", str(OPERATOR_CHART / "crds"))
    if missing := lacks(*apis):
        pytest.skip(f"this cluster has no definition of {', '.join(missing)}")
    with fresh_namespace() as namespace:
        objects = render(values, chart=chart, namespace=namespace.name, apis=apis)
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-"]
        done = subprocess.run(command, input=listed, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr, done.stderr
        assert done.stdout.count("server dry run") == len(objects)


def test_pods_run_under_the_restricted_profile(stages: InstalledStages) -> None:
    namespace = stages.namespace
    labels = json.loads(run("kubectl", "get", "namespace", namespace.name, "-o", "json"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for release in ("one", "two"):
        assert all(namespace.of_component(release, each) for each in ("token", "ingest", "processor"))
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        namespace.kubectl("run", "lax", f"--image={IMAGE}:{IMAGE_TAG}")


def test_processes_run_as_an_unprivileged_user_and_cannot_write(stages: InstalledStages) -> None:
    code = (
        "import json, os\n"
        "def refused(path):\n"
        "  try: open(path, 'w')\n"
        "  except OSError as error: return error.strerror\n"
        "capabilities = [line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')]\n"
        "print(json.dumps([os.getuid(), refused('/app/x'), refused('/tmp/x'), set(capabilities) == {'0' * 16}]))"
    )
    for component in ("token", "ingest", "processor"):
        pod = stages.namespace.of_component("one", component)[0]["metadata"]["name"]
        assert json.loads(stages.namespace.python(pod, code)) == [
            10001,
            "Read-only file system",
            "Read-only file system",
            True,
        ]


def test_every_release_has_network_policies(stages: InstalledStages) -> None:
    names = {each["metadata"]["name"] for each in stages.namespace.get("networkpolicies")["items"]}
    for release in ("one", "two"):
        assert {f"{release}-{each}" for each in ("deny-all", "egress", "api", "ops", "test")} <= names
    assert "local-emulators" in names


def test_only_its_stages_reach_the_embedded_stack(stages: InstalledStages) -> None:
    attempts = [
        ["tcp", f"local-emulators.{stages.namespace.name}.svc", port]
        for port in (stages.ports.aws, stages.ports.base + 4)
    ]
    code = f"import sys; sys.argv = ['-', {json.dumps(attempts)!r}]\n" + read_text("reach_attempts.py")
    for component in ("token", "processor"):
        pod = stages.namespace.of_component("one", component)[0]["metadata"]["name"]
        assert json.loads(stages.namespace.python(pod, code)) == [True, True]
    with fresh_namespace() as elsewhere:
        Pods().start(elsewhere, {"stranger": {}})
        assert json.loads(elsewhere.python("stranger", code)) == [False, False], "are NetworkPolicies enforced here?"


def test_an_upgrade_keeps_the_processors_replicas(stages: InstalledStages) -> None:
    namespace = stages.namespace
    namespace.kubectl("scale", "deployment/two-processor", "--replicas=2")
    namespace.helm("upgrade", "two", str(STAGE_CHART), "--reuse-values", "--set", "prometheusRules.enabled=false")
    assert namespace.get("deployment", "two-processor")["spec"]["replicas"] == 2
    namespace.kubectl("scale", "deployment/two-processor", "--replicas=1")


def test_emulators_are_not_installed_beside_production() -> None:
    with fresh_namespace({"stage": "prod"}) as namespace:
        with pytest.raises(ClusterError, match="is labelled stage=prod: emulators, which lose their data"):
            namespace.helm("install", "local", str(LOCAL_CHART), values=image_values("-local"))
        assert namespace.get("all")["items"] == []


def left_in(namespace: str) -> list[str]:
    """Everything in a namespace, except events and what Kubernetes creates in each."""
    kinds = run("kubectl", "api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith("events")]
    listed = run("kubectl", "-n", namespace, "get", ",".join(kinds), "-o", "name", "--ignore-not-found").split()
    return [each for each in listed if each not in {"configmap/kube-root-ca.crt", "serviceaccount/default"}]


def test_an_uninstall_leaves_nothing_behind() -> None:
    quick = merged_values({**EXISTING, **image_values()}, {"shutdown": {"delaySeconds": 0}})
    with fresh_namespace() as namespace:
        namespace.helm("install", "local", str(LOCAL_CHART), values=image_values("-local"))
        namespace.helm("install", "dev", str(STAGE_CHART), values=quick)
        assert len(left_in(namespace.name)) > 20
        namespace.helm("uninstall", "dev", "local")
        wait_until_sync(
            lambda: not left_in(namespace.name), lambda: f"nothing left: {left_in(namespace.name)}", timeout_seconds=60
        )


def test_sigterm_ends_a_program_that_is_still_importing(stages: InstalledStages) -> None:
    grace_seconds = 60
    container: Object = {
        "name": "slow",
        "image": f"{IMAGE}:{IMAGE_TAG}",
        "command": ["python", "-c", "import time; time.sleep(300)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    namespace = stages.namespace
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"}, "spec": spec})
    wait_until_sync(lambda: namespace.get("pod", "slow")["status"]["phase"] == "Running", "the pod")
    # The interpreter itself takes a moment to start.
    wait_until_sync(lambda: "slow" in namespace.python("slow", "print('slow')"), "a process in it")
    begun = time.monotonic()
    namespace.kubectl("delete", "pod", "slow")
    assert time.monotonic() - begun < grace_seconds / 2
