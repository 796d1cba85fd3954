"""The operator's chart, and the Stage that a stage's chart renders for it."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.helm_charts import (
    EXISTING,
    KEDA_API,
    MONITORING_APIS,
    OPERATOR_CHART,
    STAGE_API,
    HelmError,
    Object,
    helm,
    named,
    of_kind,
    pod_specs,
    render,
)

pytestmark = pytest.mark.helm


MADE: Object = {
    "queue": {"url": "", "deadLetterUrl": ""},
    "userPool": {"id": "", "clientId": ""},
    "momento": {"cacheName": ""},
    "aws": {"region": ""},
}


def operator(**values: Any) -> list[Object]:
    return render({"clusterName": "here", **values}, chart=OPERATOR_CHART, release="operator", namespace="operators")


def rules(objects: list[Object]) -> list[Object]:
    return [rule for each in objects if each["kind"] in {"Role", "ClusterRole"} for rule in each["rules"]]


@pytest.mark.parametrize("namespaces", [[], ["a", "b"]])
def test_no_permission_is_a_wildcard_or_deletes_or_reads_secrets(namespaces: list[str]) -> None:
    for rule in rules(operator(namespaces=namespaces)):
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert "*" not in words
        assert "secrets" not in words
        assert not words & {"delete", "deletecollection", "escalate", "bind", "impersonate"}


def test_with_a_list_of_namespaces_it_can_write_only_in_them() -> None:
    objects = operator(namespaces=["a", "b"])
    everywhere = named(objects, "ClusterRole", "operators:operator")
    for rule in everywhere["rules"]:
        if rule["apiGroups"] != ["notification-api.io"]:
            assert rule["verbs"] == ["list"]
    assert {role["metadata"]["namespace"] for role in of_kind(objects, "Role")} == {"a", "b"}


def test_one_operator_runs_and_the_old_pod_stops_first() -> None:
    spec = named(operator(), "Deployment", "operator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_its_pods_meet_the_restricted_profile() -> None:
    names = set()
    for name, spec in pod_specs(operator()):
        names.add(name)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
    assert names == {"Deployment operator", "Job operator-uninstall-check"}


def test_liveness_is_kopfs_own_probe() -> None:
    (container,) = named(operator(), "Deployment", "operator")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "liveness"}
    assert ports == {"ops": 9090, "liveness": 9091}


def test_rendering_without_a_cluster_requires_its_name() -> None:
    with pytest.raises(HelmError, match="clusterName is not set"):
        render({}, chart=OPERATOR_CHART)


CHECK = "operator-uninstall-check"


class TestTheCheckBeforeAnUninstall:
    def test_is_a_hook_that_ends_in_time_and_leaves_nothing_if_it_succeeds(self) -> None:
        job = named(operator(), "Job", CHECK)
        annotations = job["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        assert annotations["helm.sh/hook-output-log-policy"] == "hook-failed"
        assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 120)

    def test_may_list_stages_and_nothing_else(self) -> None:
        objects = operator()
        role = named(objects, "ClusterRole", f"operators:{CHECK}")
        assert role["rules"] == [{"apiGroups": ["notification-api.io"], "resources": ["stages"], "verbs": ["list"]}]
        bound = [each for each in of_kind(objects, "ClusterRoleBinding") if each["subjects"][0]["name"] == CHECK]
        assert [each["roleRef"]["name"] for each in bound] == [role["metadata"]["name"]]
        assert named(objects, "Job", CHECK)["spec"]["template"]["spec"]["serviceAccountName"] == CHECK

    def test_its_permissions_and_network_policy_exist_before_it_runs_and_are_deleted_with_the_release(self) -> None:
        hooks = [each["kind"] for each in operator() if "helm.sh/hook" in each["metadata"].get("annotations", {})]
        assert hooks == ["Job"]

    def test_reaches_the_api_server_at_its_configured_address(self) -> None:
        policy = named(operator(networkPolicy={"apiServerPorts": [8443]}), "NetworkPolicy", CHECK)["spec"]
        labels = named(operator(), "Job", CHECK)["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [443, 8443]]
        assert "ingress" not in policy

    def test_its_pods_are_not_the_operators(self) -> None:
        objects = operator()
        labels = named(objects, "Job", CHECK)["spec"]["template"]["metadata"]["labels"]
        selector = named(objects, "Deployment", "operator")["spec"]["selector"]["matchLabels"]
        assert not selector.items() <= labels.items()

    @pytest.mark.parametrize("length", [47, 48, 53])
    def test_has_a_name_that_a_job_may_have(self, length: int) -> None:
        names = set()
        for last in "ab":
            release = "o" * (length - 1) + last
            (job,) = of_kind(
                render({"clusterName": "here"}, chart=OPERATOR_CHART, release=release),
                "Job",
            )
            assert len(job["metadata"]["name"]) <= 63
            names.add(job["metadata"]["name"])
        assert len(names) == 2

    def test_has_its_priority_class_also_where_the_name_is_a_number(self) -> None:
        spec = named(operator(priorityClassName="1000"), "Job", CHECK)["spec"]["template"]["spec"]
        assert spec["priorityClassName"] == "1000"

    def test_counts_only_stages_in_watched_namespaces(self) -> None:
        (container,) = named(operator(namespaces=["a", "b"]), "Job", CHECK)["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [{"name": "WATCH_NAMESPACES", "value": "a,b"}]


def test_objects_of_two_operators_have_different_names() -> None:
    made = [
        (each["kind"], "" if each["kind"].startswith("Cluster") else each["metadata"]["namespace"], name)
        for namespace, release in (("a-b", "c"), ("a", "b-c"))
        for each in render(
            {"clusterName": "here", "namespaces": ["stages"]},
            chart=OPERATOR_CHART,
            release=release,
            namespace=namespace,
        )
        for name in [each["metadata"]["name"]]
    ]
    assert len(made) == len(set(made))


def test_a_duplicate_namespace_is_refused() -> None:
    with pytest.raises(HelmError, match="/namespaces"):
        operator(namespaces=["a", "a"])


def alerts(**values: Any) -> dict[str, Object]:
    given = {"clusterName": "here", **values}
    objects = render(given, chart=OPERATOR_CHART, release="operator", namespace="operators", apis=MONITORING_APIS)
    rules = [each["spec"]["groups"][0]["rules"] for each in of_kind(objects, "PrometheusRule")]
    return {rule["alert"]: rule for (rule,) in rules}


def test_alerts_link_to_runbooks_only_where_their_base_url_is_set() -> None:
    served = "https://git.example.com/notification-api/blob/main/"
    for name, rule in alerts(prometheusRules={"runbookBaseUrl": served}).items():
        assert rule["annotations"]["runbook_url"] == f"{served}docs/runbooks/{name}.md"
    for name, rule in alerts().items():
        assert "runbook_url" not in rule["annotations"]
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"


def test_without_the_monitor_the_operator_is_not_reported_as_down() -> None:
    every, left = alerts(), alerts(podMonitor={"enabled": False})
    assert every.keys() - left.keys() == {"NotificationApiOperatorDown"}
    assert not any("absent(" in rule["expr"] for rule in left.values())


@pytest.mark.parametrize(
    ("settings", "seconds"), [({}, 900), ({"RESYNC_SECONDS": 60}, 900), ({"RESYNC_SECONDS": 3_600}, 10_800)]
)
def test_a_stage_counts_as_not_reconciled_after_three_missed_resyncs(settings: Object, seconds: int) -> None:
    every = alerts(settings=settings)
    assert f") > {seconds}\n" in every["NotificationApiStageNotReconciled"]["expr"]
    assert every["NotificationApiStageDeletionStuck"]["expr"].endswith(") > 900\n")


def test_alerts_of_each_operator_select_its_own_metrics_only() -> None:
    for rule in alerts().values():
        selectors = re.findall(r"notification_api_operator_\w+\{([^}]*)\}", rule["expr"])
        assert selectors
        assert all(selector.startswith('job="operators/operator"') for selector in selectors)
    for rule in alerts(podMonitor={"enabled": False}).values():
        assert 'job="' not in rule["expr"]  # the scrape configuration names the job


def test_no_secret_is_in_its_environment() -> None:
    text = yaml.safe_dump(operator(momento={"apiKeyParameter": "/a/b"}))
    assert "secretKeyRef" not in text


def test_the_definition_is_no_template_so_that_helm_never_deletes_it() -> None:
    assert of_kind(operator(), "CustomResourceDefinition") == []
    assert "kind: CustomResourceDefinition" in helm("show", "crds", str(OPERATOR_CHART))


def stage(values: Object, *apis: str) -> list[Object]:
    return render(values, apis=apis)


def test_without_existing_resources_the_pods_wait_for_the_outputs() -> None:
    objects = stage(MADE, STAGE_API)
    (resource,) = of_kind(objects, "Stage")
    assert resource["metadata"]["name"] == "dev"
    assert not {"queue", "userPool", "momento"} & set(resource["spec"])
    for deployment in of_kind(objects, "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        assert {"name": "outputs", "configMap": {"name": "dev-outputs"}} in spec["volumes"]
        (container,) = spec["containers"]
        sources = {each["name"]: each.get("valueFrom") for each in container["env"]}
        assert sources["AWS_DEFAULT_REGION"] == {
            "configMapKeyRef": {"name": "dev-outputs", "key": "AWS_DEFAULT_REGION"}
        }


def test_with_existing_resources_the_pods_start_at_once_and_the_operator_scales_them() -> None:
    objects = stage({}, STAGE_API)
    (resource,) = of_kind(objects, "Stage")
    assert resource["spec"]["queue"]["url"] == EXISTING["queue"]["url"]
    assert "configMapKeyRef" not in yaml.safe_dump(of_kind(objects, "Deployment"))


def test_without_the_operator_missing_resources_are_refused() -> None:
    with pytest.raises(HelmError, match="install charts/notification-operator first"):
        stage(MADE)


def test_a_queue_without_its_dead_letter_queue_is_refused() -> None:
    with pytest.raises(HelmError, match="set both, or neither"):
        stage({"queue": {"url": EXISTING["queue"]["url"], "deadLetterUrl": ""}}, STAGE_API)


def test_engine_none_with_existing_resources_creates_no_stage() -> None:
    assert of_kind(stage({"scaling": {"engine": "none"}}, STAGE_API), "Stage") == []


def test_engine_keda_renders_keda_objects_and_is_set_in_the_stage() -> None:
    objects = stage(MADE | {"aws": {"region": "eu-central-1"}, "scaling": {"engine": "keda"}}, STAGE_API, KEDA_API)
    (scaled,) = of_kind(objects, "ScaledObject")
    (authentication,) = of_kind(objects, "TriggerAuthentication")
    (trigger,) = scaled["spec"]["triggers"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "dev-processor"
    assert trigger["metadata"]["queueURLFromEnv"] == "TASK_QUEUE_URL"
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    (resource,) = of_kind(objects, "Stage")
    assert resource["spec"]["scaling"]["engine"] == "keda"


def keda_identity(values: Object) -> Object:
    (authentication,) = of_kind(
        stage(values | {"scaling": {"engine": "keda"}}, STAGE_API, KEDA_API), "TriggerAuthentication"
    )
    return dict(authentication["spec"])


def test_keda_gets_the_identity_that_the_processor_has() -> None:
    keys = ("awsAccessKeyID", "awsSecretAccessKey", "awsSessionToken")
    by_secret = [{"parameter": key, "name": "keys", "key": key} for key in keys]
    endpoint = {"endpointUrl": "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com"}
    region = {"region": "eu-central-1"}
    assert keda_identity({**MADE, "aws": {**region, "credentialsSecret": "keys"}}) == {"secretTargetRef": by_secret}
    assert keda_identity({**MADE, "aws": {**region, **endpoint, "credentialsSecret": "keys"}}) == {
        "secretTargetRef": by_secret
    }
    assert keda_identity({**MADE, "aws": region}) == {"podIdentity": {"provider": "aws", "identityOwner": "workload"}}
    emulated = keda_identity({**MADE, "aws": {**region, "emulated": True, "endpointUrl": "http://aws:4566"}})
    assert {each["name"] for each in emulated["env"]} == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_keda_requires_a_region() -> None:
    values = {**MADE, "aws": {"region": ""}, "userPool": {"id": "", "clientId": ""}, "scaling": {"engine": "keda"}}
    with pytest.raises(HelmError, match=r"aws\.region is not set, and KEDA cannot read it from a user pool"):
        stage(values, STAGE_API, KEDA_API)


def test_engine_keda_without_keda_is_refused() -> None:
    with pytest.raises(HelmError, match="has no KEDA"):
        stage({"scaling": {"engine": "keda"}})


def test_the_stage_has_the_slots_of_the_processor() -> None:
    (resource,) = of_kind(stage({"processor": {"settings": {"CONCURRENCY": 50}}}, STAGE_API), "Stage")
    assert resource["spec"]["scaling"]["slotsPerReplica"] == 50


def test_a_created_queue_permits_twice_the_attempts_of_the_processor() -> None:
    (resource,) = of_kind(stage({**MADE, "processor": {"settings": {"MAX_ATTEMPTS": 12}}}, STAGE_API), "Stage")
    assert resource["spec"]["queue"] == {"maxReceiveCount": 24}
    (unsaid,) = of_kind(stage(MADE, STAGE_API), "Stage")
    assert "queue" not in unsaid["spec"]
