"""No Stage uses or deletes resources with the tags of another, whichever resources exist, adopting or not."""

import asyncio
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError

from k8s.operator.resources.errors import NotOwnedError, ResourceUnavailable
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import Given, StageOutputs, StageSpec
from k8s.operator.resources.stage import delete_stage, provision_stage
from notification_api import PermanentError
from tests.support.operator.aws_account import AwsAccount, spec_of

OWN_IDENTITY = spec_of().identity
OTHERS = {
    "stage": replace(OWN_IDENTITY, owner="dev/another"),
    "namespace": replace(OWN_IDENTITY, owner="another/stage"),
    "cluster": replace(OWN_IDENTITY, cluster="another-cluster"),
    "service": Identity("notification", "api-dev", OWN_IDENTITY.cluster, owner="dev/notification"),
}
CACHE, CLIENT = "notification-api-dev", "notification-api-dev-UserPoolClient"


async def foreign_pool(aws_account: AwsAccount) -> str:
    return (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]


async def foreign_queues(aws_account: AwsAccount) -> tuple[str, str]:
    tasks = (await aws_account.sqs.create_queue(QueueName="foreign"))["QueueUrl"]
    return tasks, (await aws_account.sqs.create_queue(QueueName="foreign-dead"))["QueueUrl"]


async def state(aws_account: AwsAccount) -> dict[str, Any]:
    """Names and tags of all resources."""
    tags = {name: await aws_account.queue_tags(name) for name in await aws_account.queue_names()}
    pools = {pool["Id"]: pool["UserPoolTags"] for pool in await aws_account.user_pools()}
    clients = {
        pool_id: [each["ClientId"] for each in await aws_account.user_pool_clients(pool_id)] for pool_id in pools
    }
    return {"queues": tags, "pools": pools, "clients": clients, "caches": set(aws_account.caches.names)}


def still_exist(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether all resources of `before` still exist with their tags."""
    return (
        before["queues"].items() <= after["queues"].items()
        and before["pools"].items() <= after["pools"].items()
        and all(set(ids) <= set(after["clients"][pool_id]) for pool_id, ids in before["clients"].items())
        and before["caches"] <= after["caches"]
    )


async def test_adoption_refuses_the_cache_of_a_stage_with_an_existing_pool(aws_account: AwsAccount) -> None:
    other_spec = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(aws_account)))
    await provision_stage(aws_account.clients, other_spec)
    before = await state(aws_account)
    own_spec = spec_of(given=Given(*await foreign_queues(aws_account)), adopt=True)

    with pytest.raises(
        NotOwnedError,
        match=r"Momento cache notification-api-dev belongs to Stage another/stage of cluster test-cluster "
        r"\(tags of queue notification-api-dev-(dlq|tasks): .*notification-api\.io/owner=another/stage",
    ):
        await provision_stage(aws_account.clients, own_spec)
    await delete_stage(aws_account.clients, own_spec)

    assert still_exist(before, await state(aws_account))
    assert [pool["Name"] for pool in await aws_account.user_pools()] == ["foreign"]


async def test_adoption_refuses_a_client_in_another_stages_pool(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, StageSpec(OTHERS["namespace"]))
    before = await state(aws_account)
    given = Given(*await foreign_queues(aws_account), user_pool_id=made.user_pool_id, cache_name="foreign")
    own_spec = spec_of(given=given, adopt=True)

    with pytest.raises(NotOwnedError, match=r"client .*-UserPoolClient in user pool .* belongs to Stage another/stage"):
        await provision_stage(aws_account.clients, own_spec)
    await delete_stage(aws_account.clients, own_spec)

    assert still_exist(before, await state(aws_account))


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("other_resources", [("made", "made"), ("made", "given"), ("given", "made")], ids="-".join)
@pytest.mark.parametrize("own_resources", list(product(["made", "given", "other"], repeat=2)), ids="-".join)
async def test_no_resource_of_another_stage_is_used_or_deleted(
    aws_account: AwsAccount, own_resources: tuple[str, str], other_resources: tuple[str, str], adopt: bool
) -> None:
    """Queues and pool of each stage: provisioned (made), existing (given), or those of the other stage (other)."""
    other = OTHERS["namespace" if adopt else "service"]
    tasks, dead_letter = await foreign_queues(aws_account) if other_resources[0] == "given" else (None, None)
    pool = await foreign_pool(aws_account) if other_resources[1] == "given" else None
    other_given = Given(tasks, dead_letter, pool)
    other_spec = StageSpec(other, other_given)
    made = await provision_stage(aws_account.clients, other_spec)
    before = await state(aws_account)
    own_spec = spec_of(given=await given_resources(aws_account, own_resources, made), adopt=adopt)

    with pytest.raises(PermanentError) as refused:
        await provision_stage(aws_account.clients, own_spec)
    await delete_stage(aws_account.clients, own_spec)

    assert still_exist(before, await state(aws_account))
    if "made" in own_resources:  # otherwise it has no resource to tag
        assert isinstance(refused.value, NotOwnedError)
        assert f"belongs to Stage {other.owner} of cluster {other.cluster}" in str(refused.value)
    assert await provision_stage(aws_account.clients, other_spec) == made
    await delete_stage(aws_account.clients, other_spec)
    assert aws_account.caches.names == set()


async def given_resources(aws_account: AwsAccount, own_resources: tuple[str, str], made: StageOutputs) -> Given:
    tasks: str | None = None
    dead_letter: str | None = None
    if own_resources[0] == "other":
        tasks, dead_letter = made.queue_url, made.dead_letter_queue_url
    elif own_resources[0] == "given":
        tasks, dead_letter = await foreign_queues(aws_account)
    pools = {"made": None, "other": made.user_pool_id}
    return Given(
        tasks, dead_letter, await foreign_pool(aws_account) if own_resources[1] == "given" else pools[own_resources[1]]
    )


@pytest.mark.parametrize(
    ("owner", "adopt"), [*product(["none", "own"], [False, True]), *product(OTHERS, [True]), ("namespace", False)]
)
@pytest.mark.parametrize("resource", ["tasks", "dlq", "pool", "client", "cache"])
async def test_an_existing_resource_is_owned_adopted_or_refused(
    aws_account: AwsAccount, resource: str, owner: str, adopt: bool
) -> None:
    pool = await create_resource(aws_account, resource, OTHERS.get(owner, OWN_IDENTITY if owner == "own" else None))
    spec = spec_of(given=Given(user_pool_id=pool), adopt=adopt)
    before = await state(aws_account)

    if owner == "own" or (owner == "none" and adopt):
        await provision_stage(aws_account.clients, spec)
        await delete_stage(aws_account.clients, spec)
        assert (await aws_account.queue_names(), aws_account.caches.names) == ([], set())
        return
    with pytest.raises(NotOwnedError) as refused:
        await provision_stage(aws_account.clients, spec)
    await delete_stage(aws_account.clients, spec)
    assert still_exist(before, await state(aws_account))
    assert ("belongs to Stage" in str(refused.value)) == (owner != "none")


async def create_resource(aws_account: AwsAccount, resource: str, owner: Identity | None) -> str | None:
    """Create one resource with our stage's name and its owner's tags; return the id of a pool that is given."""
    tags = owner.tags() if owner else {}
    if resource in {"tasks", "dlq"}:
        await aws_account.sqs.create_queue(QueueName=f"notification-api-dev-{resource}", tags=tags)
        return None
    if resource == "pool":
        await aws_account.idp.create_user_pool(
            PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"], UserPoolTags=tags
        )
        return None
    if resource == "client":
        pool = await foreign_pool(aws_account)
        await aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName=CLIENT)
        if owner:
            record = {"notification-api.io/made-client": pool}
            await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq", tags=tags | record)
        return pool
    aws_account.caches.names.add(CACHE)
    if owner:
        record = {"notification-api.io/made-cache": CACHE}
        await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq", tags=tags | record)
    return None


async def test_a_refusal_happens_before_anything_is_created(aws_account: AwsAccount) -> None:
    await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UserPoolTags=OTHERS["cluster"].tags(), UsernameAttributes=["email"]
    )

    with pytest.raises(NotOwnedError, match="belongs to Stage"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert aws_account.calls.writes == []


async def test_a_stage_may_use_another_stages_pool_with_a_client_of_its_own_name(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, spec_of())
    guest = StageSpec(
        replace(OWN_IDENTITY, stage_name="pr-1", owner="pr-1/pr-1"), Given(user_pool_id=made.user_pool_id)
    )

    await provision_stage(aws_account.clients, guest)
    await delete_stage(aws_account.clients, guest)

    assert await provision_stage(aws_account.clients, spec_of()) == made
    assert len(await aws_account.user_pool_clients(made.user_pool_id)) == 1


async def test_unreadable_tags_of_an_existing_queue_matter_only_for_adoption(aws_account: AwsAccount) -> None:
    given = Given(*await foreign_queues(aws_account))

    def deny(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListQueueTags")

    aws_account.clients.sqs.meta.events.register("before-call.sqs.ListQueueTags", deny)

    await provision_stage(aws_account.clients, spec_of(given=given))
    with pytest.raises(PermanentError, match=r"sqs:ListQueueTags .*allow sqs:ListQueueTags"):
        await provision_stage(aws_account.clients, spec_of(given=given, adopt=True))


async def test_deletion_leaves_resources_that_another_owner_tagged_since(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, spec_of())
    other = OTHERS["cluster"]
    for url in (made.queue_url, made.dead_letter_queue_url):
        await aws_account.sqs.tag_queue(QueueUrl=url, Tags=other.tags())
    log = ReconcileLog(OWN_IDENTITY)

    await delete_stage(aws_account.clients, spec_of(), log)

    assert await aws_account.queue_names() == ["notification-api-dev-dlq", "notification-api-dev-tasks"]
    assert aws_account.caches.names == {CACHE}  # tagged on the other's queues, too
    assert [pool["Name"] for pool in await aws_account.user_pools()] == []
    assert [notice for notice in log.notices if "Momento cache" in notice and "another-cluster" in notice]
    assert [notice for notice in log.notices if "queue notification-api-dev-tasks" in notice]


async def test_of_two_stages_provisioned_together_neither_uses_the_others_resources(aws_account: AwsAccount) -> None:
    given_pool, given_queues = await foreign_pool(aws_account), await foreign_queues(aws_account)
    specs = [
        StageSpec(OTHERS["namespace"], Given(user_pool_id=given_pool), adopt=True),
        spec_of(given=Given(*given_queues), adopt=True),
    ]

    made = await provision_both(aws_account, specs)

    assert len(made) == 1  # the other is refused: they share the cache's name
    loser = next(spec for spec in specs if spec not in made)
    before = set(aws_account.caches.names)
    await delete_stage(aws_account.clients, loser)
    assert aws_account.caches.names == before == {CACHE}
    await provision_stage(aws_account.clients, made[0])
    await delete_stage(aws_account.clients, made[0])
    assert aws_account.caches.names == set()


async def provision_both(aws_account: AwsAccount, specs: list[StageSpec]) -> list[StageSpec]:
    """Provision both at the same time until at least one succeeds; return those that do."""
    for _ in range(5):
        done = await asyncio.gather(
            *(provision_stage(aws_account.clients, spec) for spec in specs), return_exceptions=True
        )
        assert not [
            each
            for each in done
            if isinstance(each, Exception) and not isinstance(each, NotOwnedError | ResourceUnavailable)
        ]
        made = [spec for spec, each in zip(specs, done, strict=True) if isinstance(each, StageOutputs)]
        if made:
            return made
        made = [
            spec for spec in specs if await is_provisioned(aws_account, spec)
        ]  # their pauses differ, so one is first
        if made:
            return made
    return []


async def is_provisioned(aws_account: AwsAccount, spec: StageSpec) -> bool:
    try:
        await provision_stage(aws_account.clients, spec)
    except (NotOwnedError, ResourceUnavailable):
        return False
    return True


async def test_tags_written_by_another_during_the_adoption_win(aws_account: AwsAccount) -> None:
    url = (await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq"))["QueueUrl"]

    async def overtake(**_: object) -> None:
        await aws_account.sqs.tag_queue(QueueUrl=url, Tags=OTHERS["namespace"].tags())

    aws_account.clients.sqs.meta.events.register("after-call.sqs.TagQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it
    before = await state(aws_account)

    with pytest.raises(NotOwnedError, match="belongs to Stage another/stage"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert (await state(aws_account))["caches"] == before["caches"]
    assert await aws_account.queue_names() == ["notification-api-dev-dlq"]


async def test_a_cache_tag_written_by_another_after_ours_removes_ours(aws_account: AwsAccount) -> None:
    spec = spec_of(given=Given(*await foreign_queues(aws_account)))
    record = {"notification-api.io/made-cache": CACHE}

    async def overtake(params: dict[str, Any], **_: object) -> None:
        if "made-cache" in str(params):
            await aws_account.sqs.create_queue(
                QueueName="notification-api-dev-dlq", tags=OTHERS["namespace"].tags() | record
            )

    aws_account.clients.idp.meta.events.register("before-call.cognito-idp.TagResource", overtake)  # type: ignore[arg-type] # aiobotocore awaits it

    with pytest.raises(NotOwnedError, match="belongs to Stage another/stage"):
        await provision_stage(aws_account.clients, spec)

    assert aws_account.caches.names == set()
    assert "notification-api.io/made-cache" not in (await aws_account.user_pools("notification-api"))[0]["UserPoolTags"]


async def test_of_two_stages_of_one_name_provisioned_together_one_gets_everything(aws_account: AwsAccount) -> None:
    specs = [spec_of(), StageSpec(OTHERS["namespace"])]

    [winner] = await provision_both(aws_account, specs)

    loser = next(spec for spec in specs if spec != winner)
    with pytest.raises(NotOwnedError):
        await provision_stage(aws_account.clients, loser)
    made = await provision_stage(aws_account.clients, winner)
    await delete_stage(aws_account.clients, loser)
    aws_account.calls.reset()
    assert await provision_stage(aws_account.clients, winner) == made
    assert aws_account.calls.writes == []


async def test_of_two_stages_that_adopt_together_neither_deletes_the_others_resources(
    aws_account: AwsAccount,
) -> None:
    for name in ("tasks", "dlq"):
        await aws_account.sqs.create_queue(QueueName=f"notification-api-dev-{name}")
    await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])
    aws_account.caches.names.add(CACHE)
    specs = [spec_of(adopt=True), StageSpec(OTHERS["namespace"], adopt=True)]
    await asyncio.gather(*(is_provisioned(aws_account, spec) for spec in specs))

    made = [spec for spec in specs if await is_provisioned(aws_account, spec)]

    assert len(made) < 2
    for loser in [spec for spec in specs if spec not in made]:
        before = await state(aws_account)
        await delete_stage(aws_account.clients, loser)
        other_queues = {name for name, tags in before["queues"].items() if not loser.identity.owns(tags)}
        assert other_queues <= set(await aws_account.queue_names())
    if made:
        assert CACHE in aws_account.caches.names
        assert await is_provisioned(aws_account, made[0])


async def test_a_cache_that_two_stages_tagged_is_used_by_both_and_deleted_with_the_last(
    aws_account: AwsAccount,
) -> None:
    """As left by an older operator, which read the tags of fewer resources."""
    other_spec = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(aws_account)))
    await provision_stage(aws_account.clients, other_spec)
    own_spec = spec_of(given=Given(*await foreign_queues(aws_account)))
    record = {"notification-api.io/made-cache": CACHE}
    await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool",
        UserPoolTags=OWN_IDENTITY.tags() | record,
        UsernameAttributes=["email"],
    )
    log = ReconcileLog(OWN_IDENTITY)

    await provision_stage(aws_account.clients, own_spec, log)
    await provision_stage(aws_account.clients, other_spec)
    assert [notice for notice in log.notices if "also belongs to Stage another/stage" in notice]

    await delete_stage(aws_account.clients, own_spec)
    assert aws_account.caches.names == {CACHE}
    await delete_stage(aws_account.clients, other_spec)
    assert aws_account.caches.names == set()
