"""What is not ours is refused and untouched, adopted only when asked for, and used but never changed when given."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from k8s.operator.resources.errors import NotFoundError, NotOwnedError
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import Given, StageSpec
from k8s.operator.resources.stage import delete_stage, provision_stage
from services.common.errors import PermanentError
from tests.support.operator.aws_account import World, spec_of, stage_world
from tests.support.processes.ministack import MiniStack, ministack_process


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[World]:
    async with stage_world(stack) as made:
        yield made


@pytest.mark.parametrize(("name", "give"), [("tasks", "queue.url"), ("dlq", "queue.deadLetterUrl")])
async def test_a_foreign_queue_is_refused_and_untouched(world: World, name: str, give: str) -> None:
    await world.sqs.create_queue(QueueName=f"notification-api-dev-{name}", tags={"team": "other"})
    before = await world.queue_attributes(f"notification-api-dev-{name}")

    with pytest.raises(NotOwnedError, match=f"queue notification-api-dev-{name} .*adopt: true.*{give}"):
        await provision_stage(world.clients, spec_of())

    assert await world.queue_attributes(f"notification-api-dev-{name}") == before
    assert await world.queue_tags(f"notification-api-dev-{name}") == {"team": "other"}


async def test_a_foreign_user_pool_is_refused_and_untouched(world: World) -> None:
    await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool")
    before = await world.user_pools()

    with pytest.raises(NotOwnedError, match=r"user pool notification-api-dev-UserPool .*userPool\.id"):
        await provision_stage(world.clients, spec_of())

    assert await world.user_pools() == before


async def test_a_foreign_cache_is_refused_and_untouched(world: World) -> None:
    world.caches.names.add("notification-api-dev")

    with pytest.raises(NotOwnedError, match=r"Momento cache notification-api-dev .*momento\.cacheName"):
        await provision_stage(world.clients, spec_of())

    assert not {"CreateCache", "DeleteCache"} & set(world.calls.made)
    assert "notification-api.io/made-cache" not in await world.queue_tags("notification-api-dev-tasks")


@pytest.mark.parametrize(
    "other",
    [
        Identity("notification-api", "dev", cluster="another-cluster", owner="dev/stage"),
        Identity("notification-api", "dev", cluster="test-cluster", owner="another/stage"),
        Identity("notification", "api-dev", cluster="test-cluster", owner="dev/stage"),  # its names derive alike
    ],
)
async def test_a_stage_of_the_same_names_but_another_identity_is_foreign(world: World, other: Identity) -> None:
    await provision_stage(world.clients, StageSpec(other))
    before = await world.everything("notification")
    world.calls.forget()

    with pytest.raises(NotOwnedError):
        await provision_stage(world.clients, spec_of())
    await delete_stage(world.clients, spec_of())

    assert world.calls.writes == []
    assert await world.everything("notification") == before


async def test_adoption_takes_nothing_from_another_stage(world: World) -> None:
    theirs = StageSpec(Identity("notification-api", "dev", cluster="their-cluster", owner="theirs/dev"))
    await provision_stage(world.clients, theirs)
    before = await world.everything("notification")
    world.calls.forget()

    with pytest.raises(NotOwnedError, match=r"queue notification-api-dev-dlq .* theirs/dev of cluster their-cluster"):
        await provision_stage(world.clients, spec_of(adopt=True))
    await delete_stage(world.clients, spec_of(adopt=True))

    assert world.calls.writes == []
    assert await world.everything("notification") == before


async def test_adoption_takes_no_pool_from_another_stage(world: World) -> None:
    await provision_stage(
        world.clients, StageSpec(Identity("notification-api", "dev", "their-cluster", owner="theirs/dev"))
    )
    for name in await world.queue_names():
        await world.sqs.delete_queue(QueueUrl=(await world.sqs.get_queue_url(QueueName=name))["QueueUrl"])
    before = await world.user_pools()

    with pytest.raises(NotOwnedError, match=r"user pool .* theirs/dev of cluster their-cluster"):
        await provision_stage(world.clients, spec_of(adopt=True))
    await delete_stage(world.clients, spec_of(adopt=True))

    assert await world.user_pools() == before
    assert world.caches.names == {"notification-api-dev"}


async def test_what_a_stage_left_can_be_adopted_once_its_marks_are_taken_away(world: World) -> None:
    left = await provision_stage(
        world.clients, StageSpec(Identity("notification-api", "dev", "gone", owner="gone/dev"))
    )
    marks = list(spec_of().identity.tags())
    for url in (left.queue_url, left.dead_letter_queue_url):
        await world.sqs.untag_queue(QueueUrl=url, TagKeys=marks)
    pool_arn = (await world.user_pools())[0]["Arn"]
    await world.idp.untag_resource(ResourceArn=pool_arn, TagKeys=marks)

    assert await provision_stage(world.clients, spec_of(adopt=True)) == left
    await delete_stage(world.clients, spec_of())

    assert not any((await world.everything("notification-api")).values())


async def test_adoption_takes_over_what_is_there_and_mends_it(world: World) -> None:
    url = (await world.sqs.create_queue(QueueName="notification-api-dev-tasks", tags={"team": "other"}))["QueueUrl"]
    pool = await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])
    world.caches.names.add("notification-api-dev")
    log = ReconcileLog(spec_of().identity)

    outputs = await provision_stage(world.clients, spec_of(adopt=True), log)

    assert (outputs.queue_url, outputs.user_pool_id) == (url, pool["UserPool"]["Id"])
    tags = await world.queue_tags("notification-api-dev-tasks")
    assert tags.items() > spec_of().identity.tags().items()
    assert tags["team"] == "other"
    assert (await world.queue_attributes("notification-api-dev-tasks"))["ReceiveMessageWaitTimeSeconds"] == "20"
    assert [change for change in log.changes if change.startswith("adopted")] == [
        "adopted queue notification-api-dev-tasks",
        f"adopted user pool notification-api-dev-UserPool ({outputs.user_pool_id})",
        "adopted Momento cache notification-api-dev",
    ]
    for queue in ("notification-api-dev-tasks", "notification-api-dev-dlq"):
        assert (await world.queue_tags(queue))["notification-api.io/made-cache"] == "notification-api-dev"
    assert await provision_stage(world.clients, spec_of()) == outputs  # from now on it is ours without asking


async def test_what_was_adopted_goes_with_the_stage(world: World) -> None:
    await world.sqs.create_queue(QueueName="notification-api-dev-tasks")
    world.caches.names.add("notification-api-dev")
    await provision_stage(world.clients, spec_of(adopt=True))

    await delete_stage(world.clients, spec_of())

    assert not any((await world.everything("notification-api")).values())


async def test_of_several_pools_none_is_adopted_by_guess(world: World) -> None:
    for _ in range(2):
        await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])

    with pytest.raises(PermanentError, match=r"name the one to use in userPool\.id"):
        await provision_stage(world.clients, spec_of(adopt=True))

    assert [pool["UserPoolTags"] for pool in await world.user_pools()] == [{}, {}]


async def test_a_pool_without_email_sign_in_cannot_be_adopted(world: World) -> None:
    await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool")

    with pytest.raises(PermanentError, match="sign in by e-mail"):
        await provision_stage(world.clients, spec_of(adopt=True))

    assert (await world.user_pools())[0]["UserPoolTags"] == {}


async def test_a_client_with_a_secret_is_not_used(world: World) -> None:
    outputs = await provision_stage(world.clients, spec_of())
    await world.idp.delete_user_pool_client(UserPoolId=outputs.user_pool_id, ClientId=outputs.user_pool_client_id)
    await world.idp.create_user_pool_client(
        UserPoolId=outputs.user_pool_id, ClientName="notification-api-dev-UserPoolClient", GenerateSecret=True
    )

    with pytest.raises(PermanentError, match="has a secret"):
        await provision_stage(world.clients, spec_of())


async def test_given_resources_are_used_and_never_changed(world: World) -> None:
    queue = (await world.sqs.create_queue(QueueName="theirs"))["QueueUrl"]
    dead_letter = (await world.sqs.create_queue(QueueName="theirs-dead"))["QueueUrl"]
    pool = (await world.idp.create_user_pool(PoolName="theirs"))["UserPool"]["Id"]
    client = (await world.idp.create_user_pool_client(UserPoolId=pool, ClientName="theirs"))["UserPoolClient"][
        "ClientId"
    ]
    spec = spec_of(given=Given(queue, dead_letter, pool, client, "their-cache"))

    outputs = await provision_stage(world.clients, spec)
    await delete_stage(world.clients, spec)

    assert (outputs.queue_url, outputs.dead_letter_queue_url) == (queue, dead_letter)
    assert outputs.queue_arn.endswith(":theirs")
    assert (outputs.user_pool_id, outputs.user_pool_client_id, outputs.cache_name) == (pool, client, "their-cache")
    assert world.calls.writes == []


@pytest.mark.parametrize("kind", ["queue_url", "dead_letter_queue_url", "user_pool_id", "cache_name"])
async def test_each_resource_may_be_given_by_itself(world: World, kind: str) -> None:
    theirs = {
        "queue_url": (await world.sqs.create_queue(QueueName="theirs"))["QueueUrl"],
        "dead_letter_queue_url": (await world.sqs.create_queue(QueueName="theirs-dead"))["QueueUrl"],
        "user_pool_id": (await world.idp.create_user_pool(PoolName="theirs"))["UserPool"]["Id"],
        "cache_name": "theirs",
    }
    world.caches.names.add("theirs")
    spec = spec_of(given=replace(Given(), **{kind: theirs[kind]}))

    outputs = await provision_stage(world.clients, spec)
    world.calls.forget()
    assert await provision_stage(world.clients, spec) == outputs
    assert world.calls.writes == []
    assert getattr(outputs, kind) == theirs[kind]

    await delete_stage(world.clients, spec)

    assert not any((await world.everything("notification-api")).values())
    assert await world.queue_names() == ["theirs", "theirs-dead"]
    assert [pool["Name"] for pool in await world.user_pools()] == ["theirs"]
    assert await world.user_pool_clients(theirs["user_pool_id"]) == []
    assert world.caches.names == {"theirs"}


async def test_what_was_made_and_is_given_now_is_not_changed_any_more(world: World) -> None:
    made = await provision_stage(world.clients, spec_of())
    given = Given(made.queue_url, made.dead_letter_queue_url, made.user_pool_id, made.user_pool_client_id)
    for url in (made.queue_url, made.dead_letter_queue_url):
        await world.sqs.untag_queue(QueueUrl=url, TagKeys=["notification-api.io/made-cache"])
    pool_arn = (await world.user_pools())[0]["Arn"]
    await world.idp.untag_resource(ResourceArn=pool_arn, TagKeys=["notification-api.io/made-cache"])
    world.calls.forget()

    with pytest.raises(NotOwnedError):  # the cache: nothing says any more that it is ours
        await provision_stage(world.clients, spec_of(given=given))
    with pytest.raises(PermanentError):
        await provision_stage(world.clients, spec_of(given=given, adopt=True))
    await delete_stage(world.clients, spec_of(given=given))

    assert world.calls.writes == []
    assert len((await world.everything("notification-api"))["queues"]) == 2


async def test_a_given_pools_other_clients_are_left_alone(world: World) -> None:
    pool = (await world.idp.create_user_pool(PoolName="theirs"))["UserPool"]["Id"]
    await world.idp.create_user_pool_client(UserPoolId=pool, ClientName="notification-api-dev-UserPoolClient")
    spec = spec_of(given=Given(user_pool_id=pool))

    with pytest.raises(NotOwnedError, match=r"client .*userPool\.clientId"):
        await provision_stage(world.clients, spec)
    await delete_stage(world.clients, spec)

    assert len(await world.user_pool_clients(pool)) == 1


async def test_without_anything_to_record_it_on_a_cache_is_not_made(world: World) -> None:
    queue = (await world.sqs.create_queue(QueueName="theirs"))["QueueUrl"]
    pool = (await world.idp.create_user_pool(PoolName="theirs"))["UserPool"]["Id"]
    client = (await world.idp.create_user_pool_client(UserPoolId=pool, ClientName="theirs"))["UserPoolClient"][
        "ClientId"
    ]

    with pytest.raises(PermanentError, match="Give the cache too"):
        await provision_stage(world.clients, spec_of(given=Given(queue, queue, pool, client)))

    assert world.caches.names == set()


async def test_a_given_resource_that_is_not_there_is_named(world: World) -> None:
    missing = (await world.sqs.create_queue(QueueName="theirs"))["QueueUrl"].replace("theirs", "missing")

    with pytest.raises(NotFoundError, match="missing"):
        await provision_stage(world.clients, spec_of(given=Given(queue_url=missing)))
    with pytest.raises(NotFoundError, match="us-east-1_missing"):
        await provision_stage(world.clients, spec_of(given=Given(user_pool_id="us-east-1_missing")))
