"""Removing a stage: everything of ours, nothing else, in a safe order, as often as one likes."""

import pytest
from botocore.exceptions import ClientError

from k8s.operator.resources.errors import NotOwnedError, ProtectedError, ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.stage import delete_stage, provision_stage
from k8s.operator.resources.user_pool import UserPoolSettings
from tests.support.operator.aws_account import AwsAccount, spec_of


async def test_a_removed_stage_leaves_nothing(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())

    await delete_stage(aws_account.clients, spec_of())

    assert await aws_account.everything("") == {"queues": [], "pools": [], "clients": [], "caches": []}


async def test_the_last_record_of_the_cache_outlives_the_cache(aws_account: AwsAccount) -> None:
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


async def test_removing_twice_is_removing_once(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())
    aws_account.calls.reset()

    await delete_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []


async def test_every_removal_is_told(aws_account: AwsAccount) -> None:
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


async def test_the_neighbouring_stage_stays(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(stage_name="dev"))
    await provision_stage(aws_account.clients, spec_of(stage_name="dev-2"))

    await delete_stage(aws_account.clients, spec_of(stage_name="dev"))

    aws_account.calls.reset()
    await provision_stage(aws_account.clients, spec_of(stage_name="dev-2"))
    assert aws_account.calls.writes == []


async def test_foreign_resources_of_our_names_stay_and_are_told(aws_account: AwsAccount) -> None:
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


async def test_a_cache_made_by_somebody_after_ours_was_deleted_stays(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())
    aws_account.caches.names.add("notification-api-dev")

    await delete_stage(aws_account.clients, spec_of())

    assert aws_account.caches.names == {"notification-api-dev"}


async def test_deletion_protection_stops_the_removal_before_it_starts(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of(user_pool=UserPoolSettings(deletion_protection=True)))
    before = await aws_account.everything("")
    aws_account.calls.reset()

    with pytest.raises(ProtectedError, match="protected against deletion"):
        await delete_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []
    assert await aws_account.everything("") == before


async def test_a_stage_can_be_made_again_after_its_removal(aws_account: AwsAccount) -> None:
    first = await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())

    again = await provision_stage(aws_account.clients, spec_of())

    assert again.queue_url == first.queue_url
    assert again.user_pool_id != first.user_pool_id


async def test_a_queue_name_deleted_a_moment_ago_is_a_matter_of_waiting(aws_account: AwsAccount) -> None:
    # SQS refuses the name for 60 s; MiniStack frees it at once, so its answer is put in here.
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


async def test_a_queue_made_by_somebody_between_look_and_creation_is_not_taken(aws_account: AwsAccount) -> None:
    async def overtake(**_: object) -> None:
        await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq")

    aws_account.clients.sqs.meta.events.register("before-call.sqs.CreateQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it

    with pytest.raises(ResourceUnavailable):  # by MiniStack's answer or by the missing tags: look again
        await provision_stage(aws_account.clients, spec_of())
    with pytest.raises(NotOwnedError):
        await provision_stage(aws_account.clients, spec_of())

    assert await aws_account.queue_tags("notification-api-dev-dlq") == {}
