"""Common mistakes in values are refused, each with its correction."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.helm_charts import (
    EXISTING,
    LOCAL_CHART,
    STAGE_CHART,
    HelmError,
    Object,
    helm,
    merged_values,
    refusal,
    render,
)

pytestmark = pytest.mark.helm


URL = "https://example.com/x"
LONG = "x" * 60

REFUSED: list[tuple[str, Object, str]] = [
    (
        "label that finds the pods",
        {"token": {"podLabels": {"app.kubernetes.io/name": "x"}}},
        "token.podLabels has app.kubernetes.io/name, which the chart sets",
    ),
    (
        "label by which metrics have their stage",
        {"processor": {"podLabels": {"notification-api.io/stage": "x"}}},
        "processor.podLabels has notification-api.io/stage",
    ),
    (
        "annotation that rolls the pods",
        {"ingest": {"podAnnotations": {"checksum/settings": "x"}}},
        "ingest.podAnnotations has checksum/settings",
    ),
    (
        "one account created twice",
        {"token": {"serviceAccount": {"name": "shared"}}, "ingest": {"serviceAccount": {"name": "shared"}}},
        'token.serviceAccount and ingest.serviceAccount would both create "shared"',
    ),
    ("no stage name", {"stageName": ""}, "stageName is not set"),
    ("URL as stage name", {"stageName": URL}, f'stageName is the URL "{URL}"; it must be a name'),
    ("stage name with a dot", {"stageName": "pr.7"}, 'stageName "pr.7" may contain letters, digits, - and _ only'),
    ("stage name that no label takes", {"stageName": "dev-"}, "must begin and end with a letter or digit"),
    (
        "stage name too long for the queue",
        {"stageName": LONG, "queue": {"url": "", "deadLetterUrl": ""}},
        f'queue\'s name "notification-api-{LONG}-tasks" has 83',
    ),
    ("stage name too long for a label", {"stageName": "x" * 64}, "too long for the label notification-api.io/stage"),
    ("URL as parameter's stage", {"ssmStageName": URL}, f'ssmStageName is the URL "{URL}"; it must be a name'),
    ("no service name", {"serviceName": ""}, "serviceName is empty"),
    ("queue by name", {"queue": {"url": "tasks"}}, 'queue.url "tasks" is not the URL of a queue'),
    ("queue by ARN", {"queue": {"deadLetterUrl": "arn:aws:sqs:x:1:q"}}, "queue.deadLetterUrl"),
    ("one queue for both", {"queue": {"deadLetterUrl": EXISTING["queue"]["url"]}}, "are the same queue"),
    ("queue without dead letters", {"queue": {"deadLetterUrl": ""}}, "queue.deadLetterUrl is not set"),
    ("pool by URL", {"userPool": {"id": URL}}, f'userPool.id "{URL}" is not the id of a user pool'),
    ("pool by name", {"userPool": {"id": "my pool"}}, "is not the id of a user pool"),
    ("client without pool", {"userPool": {"id": ""}}, "userPool.id is not set"),
    ("client by URL", {"userPool": {"clientId": URL}}, "userPool.clientId is the URL"),
    ("cache by URL", {"momento": {"cacheName": URL}}, "momento.cacheName is the URL"),
    ("no cache", {"momento": {"cacheName": ""}}, "momento.cacheName is not set"),
    (
        "Momento by URL",
        {"momento": {"endpoint": "https://cell.momentohq.com"}},
        "use the bare host name, cell.momento",
    ),
    ("queue created and given", {"queue": {"create": True}}, "queue.create requires a new resource, but queue.url and"),
    ("pool created and given", {"userPool": {"create": True}}, "set userPool.create=false, or leave userPool.id"),
    ("cache created and given", {"momento": {"create": True}}, "momento.create requires a new resource"),
    (
        "creation without an operator",
        {"queue": {"create": True, "url": "", "deadLetterUrl": ""}},
        "queue.create needs the operator",
    ),
    ("emulator without address", {"aws": {"emulated": True}}, "aws.emulated is set without aws.endpointUrl"),
    (
        "AWS as emulator",
        {"aws": {"emulated": True, "endpointUrl": "https://sqs.eu-central-1.amazonaws.com"}},
        "aws.endpointUrl is AWS itself",
    ),
    (
        "two kinds of credentials",
        {"aws": {"emulated": True, "endpointUrl": "http://aws:4566", "credentialsSecret": "keys"}},
        "an emulator accepts its own key pair only",
    ),
    (
        "production on an emulator",
        {"stageName": "prod", "aws": {"emulated": True, "endpointUrl": "http://aws:4566"}},
        "the stage prod cannot run on emulators",
    ),
    ("origin with a path", {"allowedOrigins": ["https://app.example.com/"]}, "which is not an origin"),
    (
        "origin in capitals",
        {"allowedOrigins": ["https://App.example.com"]},
        "lower-case letters only, https://app.example",
    ),
    ("origins by wildcard", {"allowedOrigins": ["https://*.example.com"]}, "which is not an origin"),
    (
        "origin with the usual port",
        {"allowedOrigins": ["https://a.example:443"]},
        "the default port out, https://a.example",
    ),
    ("task type with a space", {"taskTypes": ["re port"]}, 'taskTypes has "re port", which is not the name of a task'),
    ("51 task types", {"taskTypes": [f"type-{number}" for number in range(51)]}, "at most 50 are permitted"),
    ("any origin", {"allowedOrigins": ["*"]}, 'allowedOrigins has "*", which is not an origin'),
    ("ingress without host", {"ingress": {"enabled": True}}, "ingress.host is not set"),
    ("ingress by URL", {"ingress": {"enabled": True, "host": URL}}, f'ingress.host "{URL}" is not a host name'),
    (
        "route in a cluster without the Gateway API",
        {"httpRoute": {"enabled": True, "host": "a.example.com", "parentRefs": [{"name": "gateway"}]}},
        "httpRoute.enabled needs the Gateway API, which this cluster does not have",
    ),
    (
        "route without gateway",
        {"httpRoute": {"enabled": True, "host": "a.example.com"}},
        "httpRoute.parentRefs is empty",
    ),
    ("nameless account", {"token": {"serviceAccount": {"create": False}}}, "token.serviceAccount.create is false"),
    (
        "annotations for nobody",
        {"ingest": {"serviceAccount": {"create": False, "name": "mine", "annotations": {"a": "b"}}}},
        "annotate mine yourself",
    ),
    (
        "drain shorter than a poll",
        {"shutdown": {"processorGraceSeconds": 25}},
        "processorGraceSeconds must be above 25",
    ),
    (
        "collector without a scheme",
        {"tracing": {"otlpEndpoint": "otel:4317"}},
        'tracing.otlpEndpoint "otel:4317" is not',
    ),
    ("emulator without a scheme", {"aws": {"endpointUrl": "localhost:4566"}}, "aws.endpointUrl"),
    (
        "image by URL",
        {"image": {"repository": "https://r.example.com/x"}},
        "use the name of the image, r.example.com/x",
    ),
    (
        "image with a tag",
        {"image": {"repository": "r.example.com:5000/x:1.2"}},
        "set image.tag or image.digest instead",
    ),
    ("fewest above most", {"scaling": {"minReplicas": 9, "maxReplicas": 3}}, "minReplicas is 9, above scaling.maxRep"),
    (
        "too many slots",
        {"processor": {"settings": {"CONCURRENCY": 5000}}},
        'CONCURRENCY is "5000": it must be a whole number of at least 1, at most 2000',
    ),
    ("words for a number", {"ingest": {"settings": {"TASKS_PER_MINUTE": "lots"}}}, 'TASKS_PER_MINUTE is "lots": it'),
    ("a handler without its function", {"processor": {"settings": {"TASK_HANDLER": "reports"}}}, "module:function"),
    ("unknown value", {"stagename": "dev"}, "additional properties 'stagename' not allowed"),
    ("unknown value further down", {"token": {"replica": 3}}, "additional properties 'replica' not allowed"),
    ("replicas of the processor", {"processor": {"replicas": 3}}, "additional properties 'replicas' not allowed"),
    ("unknown setting", {"processor": {"settings": {"CONCURRENT": 5}}}, "additional properties 'CONCURRENT' not"),
    ("setting of another service", {"ingest": {"settings": {"CONCURRENCY": 5}}}, "additional properties 'CONCURRENCY'"),
    ("text for a number", {"token": {"replicas": "two"}}, "got string, want integer"),
    ("unknown log level", {"logLevel": "LOUD"}, "value must be one of"),
    ("cut digest", {"image": {"digest": "sha256:abc"}}, 'image.digest "sha256:abc" is not a digest'),
    ("a list for a map", {"token": {"settings": []}}, "got array, want object"),
    ("text for a map", {"token": {"resources": "small"}}, "got string, want object"),
    ("text for a map further down", {"token": {"resources": {"limits": "256Mi"}}}, "got string, want object"),
    ("text for a list", {"tolerations": "all"}, "got string, want array"),
    ("null in a list", {"allowedOrigins": [None]}, "got null, want string"),
    ("null among peers", {"networkPolicy": {"opsFrom": [None]}}, "got null, want object"),
    ("number as text", {"shutdown": {"graceSeconds": "25"}}, "got string, want integer"),
    ("a large number", {"scaling": {"maxReplicas": 1_000_000}}, "want 1,000"),
    ("number in the environment", {"processor": {"extraEnv": [{"name": "A", "value": 5}]}}, "got number, want string"),
    ("share as number", {"token": {"podDisruptionBudget": {"maxUnavailable": "1"}}}, "does not match pattern"),
    ("stage name with a line's end", {"stageName": "dev\n"}, "may contain letters, digits, - and _ only"),
    ("secret with a line's end", {"aws": {"credentialsSecret": "keys\n"}}, "does not match pattern"),
    ("tag with a line's end", {"image": {"tag": "1.0\n"}}, "does not match pattern"),
    ("queue with a line's end", {"queue": {"url": "https://sqs/1/q\n"}}, "does not match pattern"),
    ("cache with a space", {"momento": {"cacheName": "my cache"}}, "does not match pattern"),
    ("account that is YAML", {"token": {"serviceAccount": {"name": "a: b"}}}, "does not match pattern"),
    (
        "replicas left to an autoscaler, whose most is not said",
        {"token": {"replicas": None}},
        "set token.maxReplicas to the maximum of your HorizontalPodAutoscaler",
    ),
    (
        "two kinds of budget",
        {"token": {"podDisruptionBudget": {"minAvailable": 1}}},
        "Kubernetes accepts only one of them",
    ),
]


@pytest.mark.parametrize(("values", "sentence"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_mistake_is_refused_with_its_correction(values: Object, sentence: str) -> None:
    assert sentence in refusal(values)


def test_all_mistakes_are_reported_at_once() -> None:
    error = refusal({"stageName": "", "queue": {"url": "tasks"}, "ingress": {"enabled": True}})
    assert error.count("  * ") == 3


def test_the_defaults_alone_report_everything_that_is_missing() -> None:
    with pytest.raises(HelmError) as refused:
        helm("template", "dev", "charts/notification-api", values={})
    for name in (
        "stageName",
        "queue.url",
        "queue.deadLetterUrl",
        "userPool.id",
        "userPool.clientId",
        "momento.cacheName",
    ):
        assert name in str(refused.value)


TAKEN: list[Any] = [
    {"stageName": "PR_123-x"},
    {"stageName": "x" * 57},
    {"stageName": LONG},  # the queue is given, and named as it is
    {"image": {"repository": "r.example.com:5000/notification-api"}},
    {"shutdown": {"processorGraceSeconds": 20}, "processor": {"settings": {"RECEIVE_WAIT_SECONDS": 5}}},
    {"momento": {"endpoint": "cell-1-us-east-1-1.prod.a.momentohq.com"}},
    {"ingress": {"enabled": True, "host": "*.example.com"}},
    {"token": {"podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "50%"}}},
    {"token": {"podDisruptionBudget": None}},
]


@pytest.mark.parametrize("values", TAKEN, ids=str)
def test_valid_values_are_accepted(values: Object) -> None:
    assert render(values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stages": []}, "minItems"),
        ({"stages": ["pr.7"]}, 'stages has "pr.7": a name may contain letters, digits, - and _ only'),
        ({"stages": ["dev-"]}, "must begin and end with a letter or digit"),
        ({"stages": ["dev\n"]}, "may contain letters, digits, - and _ only"),
        ({"stages": ["x" * 64]}, "use 63 at most"),
        ({"stages": ["x" * 60]}, "has 83 characters, but SQS permits 80"),
        ({"stages": ["prod"]}, "stages has prod, but production cannot run on emulators"),
        ({"serviceName": "my service"}, 'serviceName "my service" may contain letters'),
        ({"portBase": 80}, "minimum"),
        ({"persistence": True}, "additional properties 'persistence' not allowed"),
    ],
)
def test_the_embedded_stack_refuses_mistakes(values: Object, sentence: str) -> None:
    assert sentence in refusal(values, chart=LOCAL_CHART)


def test_values_are_merged() -> None:
    assert merged_values({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize("release", ["1dev", "my.app"])
@pytest.mark.parametrize("chart", [STAGE_CHART, LOCAL_CHART])
def test_a_release_name_that_is_invalid_for_a_service_is_refused(chart: Path, release: str) -> None:
    with pytest.raises(HelmError, match=f'release\'s name "{release}" must begin with a letter'):
        render({}, chart=chart, release=release)


def test_an_extra_object_without_a_kind_is_refused() -> None:
    assert "/extraObjects/0" in refusal({"extraObjects": [{"metadata": {"name": "x"}}]})


def test_services_can_share_an_account_that_one_of_them_creates() -> None:
    shared = {"token": {"serviceAccount": {"name": "shared"}}}
    assert render(merged_values(shared, {"ingest": {"serviceAccount": {"create": False, "name": "shared"}}}))
