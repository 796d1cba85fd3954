"""Names of releases do not collide, and none is too long."""

import re
from collections import Counter

import pytest

from tests.support.helm_charts import GATEWAY_API, LOCAL_CHART, MONITORING_APIS, Object, of_kind, pod_specs, render

pytestmark = pytest.mark.helm


EVERYTHING: Object = {
    "ingress": {"enabled": True, "host": "a.example.com"},
    "httpRoute": {"enabled": True, "host": "a.example.com", "parentRefs": [{"name": "gateway"}]},
    "tests": {"userSecret": "user"},
}
DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"[a-z]([a-z0-9-]{0,251}[a-z0-9])?")
MUST_BE_LABELS = {"Service", "Pod", "Deployment"}
"""Kinds whose names are parts of pod and host names. Names of other kinds may be longer."""
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
LONGEST_RELEASE = "r" * 53
"""The longest name of a release."""
RELEASES = (
    "a",
    "a-token",
    "a-ingest",
    "a-test",
    "a-smoke",
    "a-api",
    "a-deny",
    "a-rules",
    "a-dashboard",
    "a-http",
    "a-pods",
)


def full(release: str, chart_values: Object = EVERYTHING) -> list[Object]:
    return render(chart_values, release=release, apis=(*MONITORING_APIS, GATEWAY_API))


def identity(each: Object) -> tuple[str, str, str]:
    return each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]


def test_releases_with_the_same_prefix_can_share_a_namespace() -> None:
    made = Counter(identity(each) for release in RELEASES for each in full(release))
    made += Counter(
        identity(each) for release in RELEASES for each in render(chart=LOCAL_CHART, release=f"{release}-x")
    )
    assert [each for each, times in made.items() if times > 1] == []


def test_a_stage_and_an_embedded_stack_can_share_a_namespace() -> None:
    made = Counter(identity(each) for each in [*full("a-emulators"), *render(chart=LOCAL_CHART, release="a")])
    assert max(made.values()) == 1


def test_everything_is_in_the_releases_namespace() -> None:
    assert {each["metadata"]["namespace"] for each in full("dev")} == {"stages"}


@pytest.mark.parametrize("release", ["a", LONGEST_RELEASE])
def test_no_name_is_too_long(release: str) -> None:
    objects = full(release, EVERYTHING | {"stageName": "s" * 57})
    for each in objects:
        allowed = DNS_LABEL if each["kind"] in MUST_BE_LABELS else DNS_SUBDOMAIN
        assert allowed.fullmatch(each["metadata"]["name"]), each["metadata"]["name"]
        for value in each["metadata"].get("labels", {}).values():
            assert LABEL_VALUE.fullmatch(value), value


def test_no_name_of_the_embedded_stack_is_too_long() -> None:
    objects = render({"stages": ["s" * 40]}, chart=LOCAL_CHART, release=LONGEST_RELEASE)
    assert all(DNS_LABEL.fullmatch(each["metadata"]["name"]) for each in objects)
    for _, spec in pod_specs(objects):
        assert all(DNS_LABEL.fullmatch(container["name"]) for container in spec["initContainers"])


def test_every_object_is_labelled_with_its_release() -> None:
    for each in full("dev"):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "dev", identity(each)
        assert labels["app.kubernetes.io/part-of"] == "notification-api", identity(each)
        assert labels["notification-api.io/stage"] == "dev", identity(each)


def test_pods_have_the_label_from_which_metrics_get_their_stage() -> None:
    for each in of_kind(full("r"), "Deployment"):
        assert each["spec"]["template"]["metadata"]["labels"]["notification-api.io/stage"] == "dev"


def test_a_new_chart_version_alone_does_not_restart_pods() -> None:
    for each in of_kind(full("r"), "Deployment"):
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()
