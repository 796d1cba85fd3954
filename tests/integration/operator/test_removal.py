"""Deleting a stage deletes all its resources and no others, in a safe order, and can be repeated."""

import pytest
from botocore.exceptions import ClientError

from k8s.operator.resources.errors import NotOwnedError, ProtectedError, ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import delete_stage, provision_stage
from k8s.operator.resources.user_pool import UserPoolSettings
from tests.support.operator.aws_account import AwsAccount, spec_of


async def test_a_deleted_stage_leaves_nothing(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    await delete_stage(aws_account.clients, spec_of())

    assert await aws_account.everything("") == {"queues": [], "pools": [], "clients": [], "caches": []}


async def test_the_last_cache_tag_is_deleted_after_the_cache(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    aws_account.calls.reset()

    await delete_stage(aws_account.clients, spec_of())

    assert [call for call in aws_account.calls.writes if call.startswith("Delete")] == [
        "DeleteUserPoolClient",
        "DeleteCache",
        "DeleteUserPool",
        "DeleteQueue",
        "DeleteQueue",
    ]


async def test_deletion_is_idempotent(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())
    aws_account.calls.reset()

    await delete_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_every_deletion_is_logged(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    log = ReconcileLog(spec_of().identity)

    await delete_stage(aws_account.clients, spec_of(), log)

    assert log.changes == [
        f"deleted client {outputs.user_pool_client_id} of user pool {outputs.user_pool_id}",
        "deleted Momento cache notification-api-dev",
        f"deleted user pool {outputs.user_pool_id}",
        "deleted queue notification-api-dev-tasks",
        "deleted queue notification-api-dev-dlq",
    ]


async def test_other_stages_are_not_deleted(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(stage_name="dev"))
    await provision_stage(aws_account.clients, spec_of(stage_name="dev-2"))

    await delete_stage(aws_account.clients, spec_of(stage_name="dev"))

    aws_account.calls.reset()
    await provision_stage(aws_account.clients, spec_of(stage_name="dev-2"))
    assert aws_account.calls.writes == []


async def test_foreign_resources_of_our_names_are_kept_and_logged(aws_account: AwsAccount) -> None:
    await aws_account.sqs.create_queue(QueueName="notification-api-dev-tasks", tags={"team": "other"})
    pool = (await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool"))["UserPool"]["Id"]
    aws_account.caches.names.add("notification-api-dev")
    log = ReconcileLog(spec_of().identity)

    await delete_stage(aws_account.clients, spec_of(), log)

    assert aws_account.calls.writes == []
    assert log.notices == [
        f"user pool {pool} does not belong to this stage and stays",
        "queue notification-api-dev-tasks does not belong to this stage and stays",
    ]
    assert aws_account.caches.names == {"notification-api-dev"}


async def test_a_foreign_cache_created_after_ours_was_deleted_is_kept(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())
    aws_account.caches.names.add("notification-api-dev")

    await delete_stage(aws_account.clients, spec_of())

    assert aws_account.caches.names == {"notification-api-dev"}


async def test_deletion_protection_prevents_every_deletion(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=True)))
    before = await aws_account.everything("")
    aws_account.calls.reset()

    with pytest.raises(ProtectedError, match="protected against deletion"):
        await delete_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []
    assert await aws_account.everything("") == before


async def test_a_stage_can_be_created_again_after_its_deletion(aws_account: AwsAccount) -> None:
    first = await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())

    again = await provision_stage(aws_account.clients, spec_of())

    assert again.queue_url == first.queue_url
    assert again.user_pool_id != first.user_pool_id


async def test_a_recently_deleted_queue_name_is_a_transient_error(aws_account: AwsAccount) -> None:
    # SQS refuses the name for 60 s. MiniStack does not, so the error is injected here.
    refusing = True

    def refuse(**_: object) -> None:
        if refusing:
            answer = {"Error": {"Code": "AWS.SimpleQueueService.QueueDeletedRecently", "Message": "wait 60 seconds"}}
            raise ClientError(answer, "CreateQueue")  # type: ignore[arg-type]

    aws_account.clients.sqs.meta.events.register("before-call.sqs.CreateQueue", refuse)

    with pytest.raises(ResourceUnavailable, match="sqs:CreateQueue on notification-api-dev-dlq") as refused:
        await provision_stage(aws_account.clients, spec_of())
    assert refused.value.retry_after_seconds == 60

    refusing = False
    await provision_stage(aws_account.clients, spec_of())


async def test_a_foreign_queue_created_after_the_lookup_is_not_used(aws_account: AwsAccount) -> None:
    async def overtake(**_: object) -> None:
        await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq")

    aws_account.clients.sqs.meta.events.register("before-call.sqs.CreateQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it

    with pytest.raises(ResourceUnavailable):  # from MiniStack's response or the missing tags
        await provision_stage(aws_account.clients, spec_of())
    with pytest.raises(NotOwnedError):
        await provision_stage(aws_account.clients, spec_of())

    assert await aws_account.queue_tags("notification-api-dev-dlq") == {}
