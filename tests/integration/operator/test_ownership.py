"""Foreign resources are refused and unchanged, adopted only on request, and used but never changed if given."""

from dataclasses import replace

import pytest

from k8s.operator.resources.errors import NotFoundError, NotOwnedError
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import Given, StageSpec
from k8s.operator.resources.stage import delete_stage, provision_stage
from notification_api import PermanentError
from tests.support.operator.aws_account import AwsAccount, spec_of


@pytest.mark.parametrize(("name", "give"), [("tasks", "queue.url"), ("dlq", "queue.deadLetterUrl")])
async def test_a_foreign_queue_is_refused_and_untouched(aws_account: AwsAccount, name: str, give: str) -> None:
    await aws_account.sqs.create_queue(QueueName=f"notification-api-dev-{name}", tags={"team": "other"})
    before = await aws_account.queue_attributes(f"notification-api-dev-{name}")

    with pytest.raises(NotOwnedError, match=f"queue notification-api-dev-{name} .*adopt: true.*{give}"):
        await provision_stage(aws_account.clients, spec_of())

    assert await aws_account.queue_attributes(f"notification-api-dev-{name}") == before
    assert await aws_account.queue_tags(f"notification-api-dev-{name}") == {"team": "other"}


async def test_a_foreign_user_pool_is_refused_and_untouched(aws_account: AwsAccount) -> None:
    await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool")
    before = await aws_account.user_pools()

    with pytest.raises(NotOwnedError, match=r"user pool notification-api-dev-UserPool .*userPool\.id"):
        await provision_stage(aws_account.clients, spec_of())

    assert await aws_account.user_pools() == before


async def test_a_foreign_cache_is_refused_and_untouched(aws_account: AwsAccount) -> None:
    aws_account.caches.names.add("notification-api-dev")

    with pytest.raises(NotOwnedError, match=r"Momento cache notification-api-dev .*momento\.cacheName"):
        await provision_stage(aws_account.clients, spec_of())

    assert not {"CreateCache", "DeleteCache"} & set(aws_account.calls.made)
    assert "notification-api.io/made-cache" not in await aws_account.queue_tags("notification-api-dev-tasks")


@pytest.mark.parametrize(
    "other",
    [
        Identity("notification-api", "dev", cluster="another-cluster", owner="dev/stage"),
        Identity("notification-api", "dev", cluster="test-cluster", owner="another/stage"),
        Identity(
            "notification", "api-dev", cluster="test-cluster", owner="dev/stage"
        ),  # the same resource names follow from it
    ],
)
async def test_a_stage_of_the_same_names_but_another_identity_is_foreign(
    aws_account: AwsAccount, other: Identity
) -> None:
    await provision_stage(aws_account.clients, StageSpec(other))
    before = await aws_account.everything("notification")
    aws_account.calls.reset()

    with pytest.raises(NotOwnedError):
        await provision_stage(aws_account.clients, spec_of())
    await delete_stage(aws_account.clients, spec_of())

    assert aws_account.calls.writes == []
    assert await aws_account.everything("notification") == before


async def test_adoption_takes_nothing_from_another_stage(aws_account: AwsAccount) -> None:
    foreign_spec = StageSpec(Identity("notification-api", "dev", cluster="other-cluster", owner="other/dev"))
    await provision_stage(aws_account.clients, foreign_spec)
    before = await aws_account.everything("notification")
    aws_account.calls.reset()

    with pytest.raises(NotOwnedError, match=r"queue notification-api-dev-dlq .* other/dev of cluster other-cluster"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))
    await delete_stage(aws_account.clients, spec_of(adopt=True))

    assert aws_account.calls.writes == []
    assert await aws_account.everything("notification") == before


async def test_adoption_takes_no_pool_from_another_stage(aws_account: AwsAccount) -> None:
    await provision_stage(
        aws_account.clients, StageSpec(Identity("notification-api", "dev", "other-cluster", owner="other/dev"))
    )
    for name in await aws_account.queue_names():
        await aws_account.sqs.delete_queue(QueueUrl=(await aws_account.sqs.get_queue_url(QueueName=name))["QueueUrl"])
    before = await aws_account.user_pools()

    with pytest.raises(NotOwnedError, match=r"user pool .* other/dev of cluster other-cluster"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))
    await delete_stage(aws_account.clients, spec_of(adopt=True))

    assert await aws_account.user_pools() == before
    assert aws_account.caches.names == {"notification-api-dev"}


async def test_retained_resources_can_be_adopted_once_their_tags_are_removed(aws_account: AwsAccount) -> None:
    left = await provision_stage(
        aws_account.clients, StageSpec(Identity("notification-api", "dev", "deleted", owner="deleted/dev"))
    )
    marks = list(spec_of().identity.tags())
    for url in (left.queue_url, left.dead_letter_queue_url):
        await aws_account.sqs.untag_queue(QueueUrl=url, TagKeys=marks)
    pool_arn = (await aws_account.user_pools())[0]["Arn"]
    await aws_account.idp.untag_resource(ResourceArn=pool_arn, TagKeys=marks)

    assert await provision_stage(aws_account.clients, spec_of(adopt=True)) == left
    await delete_stage(aws_account.clients, spec_of())

    assert not any((await aws_account.everything("notification-api")).values())


async def test_adoption_uses_existing_resources_and_corrects_them(aws_account: AwsAccount) -> None:
    url = (await aws_account.sqs.create_queue(QueueName="notification-api-dev-tasks", tags={"team": "other"}))[
        "QueueUrl"
    ]
    pool = await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"]
    )
    aws_account.caches.names.add("notification-api-dev")
    log = ReconcileLog(spec_of().identity)

    outputs = await provision_stage(aws_account.clients, spec_of(adopt=True), log)

    assert (outputs.queue_url, outputs.user_pool_id) == (url, pool["UserPool"]["Id"])
    tags = await aws_account.queue_tags("notification-api-dev-tasks")
    assert tags.items() > spec_of().identity.tags().items()
    assert tags["team"] == "other"
    assert (await aws_account.queue_attributes("notification-api-dev-tasks"))["ReceiveMessageWaitTimeSeconds"] == "20"
    assert [change for change in log.changes if change.startswith("adopted")] == [
        "adopted queue notification-api-dev-tasks",
        f"adopted user pool notification-api-dev-UserPool ({outputs.user_pool_id})",
        "adopted Momento cache notification-api-dev",
    ]
    for queue in ("notification-api-dev-tasks", "notification-api-dev-dlq"):
        assert (await aws_account.queue_tags(queue))["notification-api.io/made-cache"] == "notification-api-dev"
    assert await provision_stage(aws_account.clients, spec_of()) == outputs  # owned from now on, without adopting


async def test_adopted_resources_are_deleted_with_the_stage(aws_account: AwsAccount) -> None:
    await aws_account.sqs.create_queue(QueueName="notification-api-dev-tasks")
    aws_account.caches.names.add("notification-api-dev")
    await provision_stage(aws_account.clients, spec_of(adopt=True))

    await delete_stage(aws_account.clients, spec_of())

    assert not any((await aws_account.everything("notification-api")).values())


async def test_no_pool_is_adopted_if_several_match(aws_account: AwsAccount) -> None:
    for _ in range(2):
        await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])

    with pytest.raises(PermanentError, match=r"name the one to use in userPool\.id"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert [pool["UserPoolTags"] for pool in await aws_account.user_pools()] == [{}, {}]


async def test_a_pool_without_email_sign_in_cannot_be_adopted(aws_account: AwsAccount) -> None:
    await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool")

    with pytest.raises(PermanentError, match="sign in by e-mail"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert (await aws_account.user_pools())[0]["UserPoolTags"] == {}


async def test_a_client_with_a_secret_is_not_used(aws_account: AwsAccount) -> None:
    outputs = await provision_stage(aws_account.clients, spec_of())
    await aws_account.idp.delete_user_pool_client(UserPoolId=outputs.user_pool_id, ClientId=outputs.user_pool_client_id)
    await aws_account.idp.create_user_pool_client(
        UserPoolId=outputs.user_pool_id, ClientName="notification-api-dev-UserPoolClient", GenerateSecret=True
    )

    with pytest.raises(PermanentError, match="has a secret"):
        await provision_stage(aws_account.clients, spec_of())


async def test_existing_resources_are_used_and_never_changed(aws_account: AwsAccount) -> None:
    queue = (await aws_account.sqs.create_queue(QueueName="foreign"))["QueueUrl"]
    dead_letter = (await aws_account.sqs.create_queue(QueueName="foreign-dead"))["QueueUrl"]
    pool = (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    client = (await aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName="foreign"))["UserPoolClient"][
        "ClientId"
    ]
    spec = spec_of(given=Given(queue, dead_letter, pool, client, "their-cache"))

    outputs = await provision_stage(aws_account.clients, spec)
    await delete_stage(aws_account.clients, spec)

    assert (outputs.queue_url, outputs.dead_letter_queue_url) == (queue, dead_letter)
    assert outputs.queue_arn.endswith(":foreign")
    assert (outputs.user_pool_id, outputs.user_pool_client_id, outputs.cache_name) == (pool, client, "their-cache")
    assert aws_account.calls.writes == []


@pytest.mark.parametrize("kind", ["queue_url", "dead_letter_queue_url", "user_pool_id", "cache_name"])
async def test_each_resource_can_be_an_existing_one(aws_account: AwsAccount, kind: str) -> None:
    foreign = {
        "queue_url": (await aws_account.sqs.create_queue(QueueName="foreign"))["QueueUrl"],
        "dead_letter_queue_url": (await aws_account.sqs.create_queue(QueueName="foreign-dead"))["QueueUrl"],
        "user_pool_id": (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"],
        "cache_name": "foreign",
    }
    aws_account.caches.names.add("foreign")
    spec = spec_of(given=replace(Given(), **{kind: foreign[kind]}))

    outputs = await provision_stage(aws_account.clients, spec)
    aws_account.calls.reset()
    assert await provision_stage(aws_account.clients, spec) == outputs
    assert aws_account.calls.writes == []
    assert getattr(outputs, kind) == foreign[kind]

    await delete_stage(aws_account.clients, spec)

    assert not any((await aws_account.everything("notification-api")).values())
    assert await aws_account.queue_names() == ["foreign", "foreign-dead"]
    assert [pool["Name"] for pool in await aws_account.user_pools()] == ["foreign"]
    assert await aws_account.user_pool_clients(foreign["user_pool_id"]) == []
    assert aws_account.caches.names == {"foreign"}


async def test_a_created_resource_that_is_configured_as_existing_is_no_longer_changed(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, spec_of())
    given = Given(made.queue_url, made.dead_letter_queue_url, made.user_pool_id, made.user_pool_client_id)
    for url in (made.queue_url, made.dead_letter_queue_url):
        await aws_account.sqs.untag_queue(QueueUrl=url, TagKeys=["notification-api.io/made-cache"])
    pool_arn = (await aws_account.user_pools())[0]["Arn"]
    await aws_account.idp.untag_resource(ResourceArn=pool_arn, TagKeys=["notification-api.io/made-cache"])
    aws_account.calls.reset()

    with pytest.raises(NotOwnedError):  # the cache: no tag shows any longer that the stage owns it
        await provision_stage(aws_account.clients, spec_of(given=given))
    with pytest.raises(PermanentError):
        await provision_stage(aws_account.clients, spec_of(given=given, adopt=True))
    await delete_stage(aws_account.clients, spec_of(given=given))

    assert aws_account.calls.writes == []
    assert len((await aws_account.everything("notification-api"))["queues"]) == 2


async def test_other_clients_of_an_existing_pool_are_unchanged(aws_account: AwsAccount) -> None:
    pool = (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    await aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName="notification-api-dev-UserPoolClient")
    spec = spec_of(given=Given(user_pool_id=pool))

    with pytest.raises(NotOwnedError, match=r"client .*userPool\.clientId"):
        await provision_stage(aws_account.clients, spec)
    await delete_stage(aws_account.clients, spec)

    assert len(await aws_account.user_pool_clients(pool)) == 1


async def test_no_cache_is_created_without_a_resource_to_tag(aws_account: AwsAccount) -> None:
    queue = (await aws_account.sqs.create_queue(QueueName="foreign"))["QueueUrl"]
    pool = (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    client = (await aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName="foreign"))["UserPoolClient"][
        "ClientId"
    ]

    with pytest.raises(PermanentError, match="Give the cache too"):
        await provision_stage(aws_account.clients, spec_of(given=Given(queue, queue, pool, client)))

    assert aws_account.caches.names == set()


async def test_a_missing_existing_resource_is_named(aws_account: AwsAccount) -> None:
    missing = (await aws_account.sqs.create_queue(QueueName="foreign"))["QueueUrl"].replace("foreign", "missing")

    with pytest.raises(NotFoundError, match="missing"):
        await provision_stage(aws_account.clients, spec_of(given=Given(queue_url=missing)))
    with pytest.raises(NotFoundError, match="us-east-1_missing"):
        await provision_stage(aws_account.clients, spec_of(given=Given(user_pool_id="us-east-1_missing")))
