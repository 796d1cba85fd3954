"""A Stage is reconciled and removed on an emulated AWS account."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import ListCachesResponse

from k8s.operator.api.client import Json
from k8s.operator.controller.reconciler import Reconciler
from notification_api import PermanentError
from tests.support.fakes.kubernetes import deployment, pod
from tests.support.operator.in_memory import InMemoryOperator, OneMomento, in_memory_operator, reconcile
from tests.support.processes.ministack import MiniStack

PODS = "/api/v1/namespaces/n/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/n/deployments"


class CachesWithoutKey:
    """Behaves like `MomentoCaches` when the parameter with the key does not exist."""

    async def list_caches(self) -> ListCachesResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")

    async def create_cache(self, cache_name: str) -> CreateCacheResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse:
        raise PermanentError("The Momento API key cannot be read: ParameterNotFound")


async def test_a_stage_is_provisioned_published_and_removed(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    assert operator.kubernetes.condition(reconciler.ref, "Provisioned")["status"] == "True"
    assert "/api/v1/namespaces/n/configmaps/dev-outputs" in operator.kubernetes.objects

    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)

    assert reconciler.ref.path not in operator.kubernetes.objects
    assert not any((await operator.aws_account.everything("notification-api")).values())


async def test_a_stage_whose_key_cannot_be_read_can_be_removed(aws: MiniStack) -> None:
    async with in_memory_operator(aws, CachesWithoutKey()) as operator:
        reconciler = operator.reconciler(operator.kubernetes.put_stage(ssmStageName="typo"))
        await reconciler.reconcile_once()
        assert "cannot be read" in operator.kubernetes.condition(reconciler.ref, "Provisioned")["message"]
        assert await operator.aws_account.queue_names() != []

        operator.kubernetes.delete(reconciler.ref.path)
        await reconcile(reconciler)

        assert reconciler.ref.path not in operator.kubernetes.objects
        assert await operator.aws_account.queue_names() == []


async def test_a_removal_waits_for_a_missing_key_or_for_the_cache_record_to_be_deleted(
    operator: InMemoryOperator,
) -> None:
    ref = operator.kubernetes.put_stage().ref
    await operator.reconciler(operator.kubernetes.stage(ref)).reconcile_once()
    without_key = replace(operator, context=replace(operator.context, caches=OneMomento(CachesWithoutKey())))
    operator.kubernetes.delete(ref.path)
    reconciler = without_key.reconciler(operator.kubernetes.stage(ref))

    await reconcile(reconciler)
    condition = operator.kubernetes.condition(ref, "Ready")
    assert (condition["reason"], "cannot be read" in condition["message"]) == ("RemovalFailed", True)
    assert len(await operator.aws_account.queue_names()) == 2

    record = ["notification-api.io/made-cache"]  # as docs/reference/operator.md says
    for name in await operator.aws_account.queue_names():
        url = (await operator.aws_account.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        await operator.aws_account.sqs.untag_queue(QueueUrl=url, TagKeys=record)
    pool_arn = (await operator.aws_account.user_pools())[0]["Arn"]
    await operator.aws_account.idp.untag_resource(ResourceArn=pool_arn, TagKeys=record)
    await reconcile(reconciler)
    assert ref.path not in operator.kubernetes.objects
    assert await operator.aws_account.queue_names() == []


async def test_a_retained_stage_is_released_and_its_resources_stay_untouched(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage("prod"))
    await reconciler.reconcile_once()
    before = await operator.aws_account.everything("notification-api")
    operator.kubernetes.delete(reconciler.ref.path)
    operator.aws_account.calls.reset()

    await reconciler.reconcile_once()

    assert reconciler.ref.path not in operator.kubernetes.objects
    assert [call for call in operator.aws_account.calls.writes if " " not in call] == []
    assert await operator.aws_account.everything("notification-api") == before
    assert "Retained" in operator.kubernetes.events()


async def test_a_stage_with_unusable_names_reports_it_and_can_be_removed(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage("dev", serviceName="s" * 80))
    await reconciler.reconcile_once()
    assert "too long" in operator.kubernetes.condition(reconciler.ref, "Provisioned")["message"]
    operator.kubernetes.delete(reconciler.ref.path)

    await reconciler.reconcile_once()

    assert reconciler.ref.path not in operator.kubernetes.objects


async def test_a_removal_is_reported_once_while_the_deleted_queue_is_still_listed(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    # SQS may list a queue for a minute after its deletion.
    events = operator.aws_account.clients.sqs.meta.events
    events.register("before-call.sqs.DeleteQueue", _answered, unique_id="still there")  # type: ignore[arg-type]
    operator.kubernetes.delete(reconciler.ref.path)

    await reconcile(reconciler)

    condition = operator.kubernetes.condition(reconciler.ref, "Ready")
    assert condition["reason"] == "WaitingForRemoval"
    assert "queue notification-api-dev-tasks" in condition["message"]
    assert operator.kubernetes.events().count("Removed") == 1
    events.unregister("before-call.sqs.DeleteQueue", unique_id="still there")
    await reconcile(reconciler)
    assert reconciler.ref.path not in operator.kubernetes.objects


def _answered(**_: object) -> tuple[SimpleNamespace, Json]:
    return SimpleNamespace(status_code=200), {}


async def test_nothing_is_removed_while_a_processor_exists(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    operator.kubernetes.delete(reconciler.ref.path)

    await reconcile(reconciler)  # its pod does not exist yet, and may be created at any moment
    assert operator.kubernetes.condition(reconciler.ref, "Ready")["reason"] == "WaitingForRelease"
    operator.kubernetes.delete(f"{DEPLOYMENTS}/dev-processor")
    operator.kubernetes.put(f"{PODS}/p", pod("p", terminating=True))
    await reconcile(reconciler)
    assert "are terminating: p" in operator.kubernetes.condition(reconciler.ref, "Ready")["message"]
    assert len(await operator.aws_account.queue_names()) == 2

    operator.kubernetes.delete(f"{PODS}/p")
    await reconcile(reconciler)
    assert await operator.aws_account.queue_names() == []


@pytest.mark.parametrize("component", ["token", "ingest", "processor"])
@pytest.mark.parametrize("replicas", [0, 1])
async def test_nothing_is_removed_while_a_deployment_of_the_release_exists(
    operator: InMemoryOperator, component: str, replicas: int
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.put(f"{DEPLOYMENTS}/dev-{component}", deployment(component, replicas))
    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)
    message = operator.kubernetes.condition(reconciler.ref, "Ready")["message"]
    assert f"(Deployments dev-{component}): helm uninstall dev -n n" in message
    assert "WaitingForRelease" in operator.kubernetes.events()
    assert len(await operator.aws_account.queue_names()) == 2

    operator.kubernetes.delete(f"{DEPLOYMENTS}/dev-{component}")
    operator.kubernetes.put(f"{PODS}/p", pod("p", component))
    await reconcile(reconciler)
    assert len(await operator.aws_account.queue_names()) == 2
    operator.kubernetes.delete(f"{PODS}/p")
    operator.kubernetes.put(f"{PODS}/smoke", pod("smoke", "test"))
    await reconcile(reconciler)
    assert not any((await operator.aws_account.everything("notification-api")).values())


async def test_a_foreign_pod_with_the_labels_is_named_with_the_command_that_deletes_it(
    operator: InMemoryOperator,
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    body = pod("copy")
    del body["metadata"]["ownerReferences"]
    operator.kubernetes.put(f"{PODS}/copy", body)
    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)
    assert "kubectl delete pod -n n copy" in operator.kubernetes.condition(reconciler.ref, "Ready")["message"]
    assert len(await operator.aws_account.queue_names()) == 2


async def test_a_deleted_stage_reports_that_it_is_not_scaled(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)
    scaling = operator.kubernetes.condition(reconciler.ref, "Scaling")
    assert (scaling["status"], scaling["reason"]) == ("False", "Deleting")


async def test_a_live_release_keeps_its_outputs_where_its_stage_is_retained(operator: InMemoryOperator) -> None:
    """Deleted by mistake and created again by `helm upgrade`: no pod is rolled, and the outputs always exist."""
    outputs = "/api/v1/namespaces/n/configmaps/dev-outputs"
    reconciler = operator.reconciler(operator.kubernetes.put_stage(deletionPolicy="Retain"))
    operator.kubernetes.put(f"{DEPLOYMENTS}/dev-token", deployment("token"))
    await reconciler.reconcile_once()
    before = operator.kubernetes.objects[outputs]["data"]
    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)
    assert reconciler.ref.path not in operator.kubernetes.objects
    assert operator.kubernetes.objects[outputs]["data"] == before

    again = operator.reconciler(operator.kubernetes.put_stage(deletionPolicy="Delete"))
    await again.reconcile_once()
    assert operator.kubernetes.condition(again.ref, "Provisioned")["status"] == "True"
    assert operator.kubernetes.objects[outputs]["data"] == before
    assert "annotations" not in operator.kubernetes.objects[f"{DEPLOYMENTS}/dev-token"]["metadata"]

    operator.kubernetes.delete(f"{DEPLOYMENTS}/dev-token")
    operator.kubernetes.delete(again.ref.path)
    await reconcile(again)
    assert outputs not in operator.kubernetes.objects
    assert not any((await operator.aws_account.everything("notification-api")).values())


async def test_outputs_of_a_retained_stage_are_deleted_once_its_release_is_gone(
    operator: InMemoryOperator,
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage("prod"))
    await reconciler.reconcile_once()
    operator.kubernetes.delete(reconciler.ref.path)
    await reconcile(reconciler)
    assert "/api/v1/namespaces/n/configmaps/prod-outputs" not in operator.kubernetes.objects


async def test_objects_missing_in_a_cached_list_do_not_count_as_gone(operator: InMemoryOperator) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    operator.kubernetes.stale = {}
    operator.kubernetes.put(f"{PODS}/p", pod("p"))
    operator.kubernetes.delete(reconciler.ref.path)

    await reconcile(reconciler)

    assert operator.kubernetes.condition(reconciler.ref, "Ready")["reason"] == "WaitingForRelease"
    assert len(await operator.aws_account.queue_names()) == 2


async def test_a_stage_of_existing_resources_is_released_beside_a_running_processor(operator: InMemoryOperator) -> None:
    queue, dead = [
        (await operator.aws_account.sqs.create_queue(QueueName=name))["QueueUrl"] for name in ("foreign", "dead")
    ]
    pool = (await operator.aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    client = (await operator.aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName="foreign"))[
        "UserPoolClient"
    ]
    given: Json = {
        "queue": {"url": queue, "deadLetterUrl": dead},
        "userPool": {"id": pool, "clientId": client["ClientId"]},
        "momento": {"cacheName": "foreign"},
    }
    reconciler = operator.reconciler(operator.kubernetes.put_stage(**given))
    await reconciler.reconcile_once()
    operator.kubernetes.put(f"{DEPLOYMENTS}/dev-processor", deployment("processor", 1))
    operator.kubernetes.put(f"{PODS}/p", pod("p"))
    operator.kubernetes.delete(reconciler.ref.path)

    await reconciler.reconcile_once()

    assert reconciler.ref.path not in operator.kubernetes.objects
    assert await operator.aws_account.queue_names() == ["dead", "foreign"]
    # The release's next pod would not start without them.
    assert "/api/v1/namespaces/n/configmaps/dev-outputs" in operator.kubernetes.objects


async def test_a_provisioned_stage_that_cannot_be_read_stays_ready(
    operator: InMemoryOperator,
) -> None:
    first = operator.reconciler(operator.kubernetes.put_stage())
    await first.reconcile_once()
    _ready(operator, first)
    operator.aws_account.clients.idp.meta.events.register("before-call", _unavailable)

    later = operator.reconciler(operator.kubernetes.stage(first.ref))  # an operator that starts while AWS is down
    await later.reconcile_once()

    assert operator.kubernetes.condition(first.ref, "Ready")["status"] == "True"
    provisioned = operator.kubernetes.condition(first.ref, "Provisioned")
    assert (provisioned["status"], provisioned["reason"]) == ("Unknown", "Unavailable")
    assert operator.kubernetes.condition(first.ref, "Degraded")["status"] == "True"


def _ready(operator: InMemoryOperator, reconciler: Reconciler) -> None:
    body = operator.kubernetes.objects[reconciler.ref.path]
    body["status"]["conditions"].append(
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "m", "lastTransitionTime": "t"}
    )


def _unavailable(**_: object) -> None:
    answer = {"Error": {"Code": "ServiceUnavailable"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    raise ClientError(answer, "Any")  # type: ignore[arg-type]


async def test_a_stage_that_was_never_provisioned_is_not_ready(operator: InMemoryOperator) -> None:
    operator.aws_account.clients.sqs.meta.events.register("before-call", _unavailable)
    reconciler = operator.reconciler(operator.kubernetes.put_stage())

    await reconciler.reconcile_once()

    assert operator.kubernetes.condition(reconciler.ref, "Provisioned")["status"] == "False"
    assert operator.kubernetes.condition(reconciler.ref, "Ready")["reason"] == "NotProvisioned"


async def test_a_queue_that_replaced_ours_is_reported_as_not_owned(
    operator: InMemoryOperator,
) -> None:
    reconciler = operator.reconciler(operator.kubernetes.put_stage())
    await reconciler.reconcile_once()
    url = (await operator.aws_account.sqs.get_queue_url(QueueName="notification-api-dev-tasks"))["QueueUrl"]
    await operator.aws_account.sqs.untag_queue(QueueUrl=url, TagKeys=["notification-api.io/owner"])

    await reconciler.reconcile_once()

    provisioned = operator.kubernetes.condition(reconciler.ref, "Provisioned")
    assert (provisioned["status"], provisioned["reason"]) == ("False", "NotOwned")


async def test_a_throttled_stage_reports_it_and_others_are_provisioned(operator: InMemoryOperator) -> None:
    def throttle(params: Json, **_: object) -> None:
        if "notification-api-hot" in str(params):
            answer = {"Error": {"Code": "RequestThrottled"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "Any")  # type: ignore[arg-type]

    events = operator.aws_account.clients.sqs.meta.events
    events.register("before-call", throttle)
    hot, well = (operator.reconciler(operator.kubernetes.put_stage(name)) for name in ("hot", "well"))

    await asyncio.gather(hot.reconcile_once(), well.reconcile_once())

    assert operator.kubernetes.condition(well.ref, "Provisioned")["status"] == "True"
    condition = operator.kubernetes.condition(hot.ref, "Degraded")
    assert (condition["reason"], "RequestThrottled" in condition["message"]) == ("Unavailable", True)
    events.unregister("before-call", throttle)
    await hot.reconcile_once()
    assert operator.kubernetes.condition(hot.ref, "Degraded")["status"] == "False"
