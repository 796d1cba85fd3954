"""No Stage takes or deletes what bears the marks of another, whichever resources are given, adopting or not."""

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

US = spec_of().identity
OTHERS = {
    "stage": replace(US, owner="dev/another"),
    "namespace": replace(US, owner="another/stage"),
    "cluster": replace(US, cluster="another-cluster"),
    "service": Identity("notification", "api-dev", US.cluster, owner="dev/notification"),
}
CACHE, CLIENT = "notification-api-dev", "notification-api-dev-UserPoolClient"


async def foreign_pool(aws_account: AwsAccount) -> str:
    return (await aws_account.idp.create_user_pool(PoolName="somebodys"))["UserPool"]["Id"]


async def foreign_queues(aws_account: AwsAccount) -> tuple[str, str]:
    tasks = (await aws_account.sqs.create_queue(QueueName="somebodys"))["QueueUrl"]
    return tasks, (await aws_account.sqs.create_queue(QueueName="somebodys-dead"))["QueueUrl"]


async def state(aws_account: AwsAccount) -> dict[str, Any]:
    """Names and marks of all there is."""
    tags = {name: await aws_account.queue_tags(name) for name in await aws_account.queue_names()}
    pools = {pool["Id"]: pool["UserPoolTags"] for pool in await aws_account.user_pools()}
    clients = {
        pool_id: [each["ClientId"] for each in await aws_account.user_pool_clients(pool_id)] for pool_id in pools
    }
    return {"queues": tags, "pools": pools, "clients": clients, "caches": set(aws_account.caches.names)}


def kept(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether all that there was is still there with its marks."""
    return (
        before["queues"].items() <= after["queues"].items()
        and before["pools"].items() <= after["pools"].items()
        and all(set(ids) <= set(after["clients"][pool_id]) for pool_id, ids in before["clients"].items())
        and before["caches"] <= after["caches"]
    )


async def test_adoption_takes_no_cache_of_a_stage_with_a_given_pool(aws_account: AwsAccount) -> None:
    theirs = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(aws_account)))
    await provision_stage(aws_account.clients, theirs)
    before = await state(aws_account)
    ours = spec_of(given=Given(*await foreign_queues(aws_account)), adopt=True)

    with pytest.raises(
        NotOwnedError,
        match=r"Momento cache notification-api-dev belongs to Stage another/stage of cluster test-cluster "
        r"\(tags of queue notification-api-dev-(dlq|tasks): .*notification-api\.io/owner=another/stage",
    ):
        await provision_stage(aws_account.clients, ours)
    await delete_stage(aws_account.clients, ours)

    assert kept(before, await state(aws_account))
    assert [pool["Name"] for pool in await aws_account.user_pools()] == ["somebodys"]


async def test_adoption_takes_no_client_in_another_stages_pool(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, StageSpec(OTHERS["namespace"]))
    before = await state(aws_account)
    given = Given(*await foreign_queues(aws_account), user_pool_id=made.user_pool_id, cache_name="somebodys")
    ours = spec_of(given=given, adopt=True)

    with pytest.raises(NotOwnedError, match=r"client .*-UserPoolClient in user pool .* belongs to Stage another/stage"):
        await provision_stage(aws_account.clients, ours)
    await delete_stage(aws_account.clients, ours)

    assert kept(before, await state(aws_account))


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("theirs", [("made", "made"), ("made", "given"), ("given", "made")], ids="-".join)
@pytest.mark.parametrize("ours", list(product(["made", "given", "theirs"], repeat=2)), ids="-".join)
async def test_nothing_of_another_stage_is_taken_or_deleted(
    aws_account: AwsAccount, ours: tuple[str, str], theirs: tuple[str, str], adopt: bool
) -> None:
    """`ours` and `theirs`: queues and pool, each made, given, or (ours) those of the other stage."""
    other = OTHERS["namespace" if adopt else "service"]
    tasks, dead_letter = await foreign_queues(aws_account) if theirs[0] == "given" else (None, None)
    pool = await foreign_pool(aws_account) if theirs[1] == "given" else None
    their_given = Given(tasks, dead_letter, pool)
    their_spec = StageSpec(other, their_given)
    made = await provision_stage(aws_account.clients, their_spec)
    before = await state(aws_account)
    our_spec = spec_of(given=await our_given(aws_account, ours, made), adopt=adopt)

    with pytest.raises(PermanentError) as refused:
        await provision_stage(aws_account.clients, our_spec)
    await delete_stage(aws_account.clients, our_spec)

    assert kept(before, await state(aws_account))
    if "made" in ours:  # else it has nothing to keep a record on
        assert isinstance(refused.value, NotOwnedError)
        assert f"belongs to Stage {other.owner} of cluster {other.cluster}" in str(refused.value)
    assert await provision_stage(aws_account.clients, their_spec) == made
    await delete_stage(aws_account.clients, their_spec)
    assert aws_account.caches.names == set()


async def our_given(aws_account: AwsAccount, ours: tuple[str, str], made: StageOutputs) -> Given:
    tasks: str | None = None
    dead_letter: str | None = None
    if ours[0] == "theirs":
        tasks, dead_letter = made.queue_url, made.dead_letter_queue_url
    elif ours[0] == "given":
        tasks, dead_letter = await foreign_queues(aws_account)
    pools = {"made": None, "theirs": made.user_pool_id}
    return Given(tasks, dead_letter, await foreign_pool(aws_account) if ours[1] == "given" else pools[ours[1]])


@pytest.mark.parametrize(
    ("owner", "adopt"), [*product(["nobody", "us"], [False, True]), *product(OTHERS, [True]), ("namespace", False)]
)
@pytest.mark.parametrize("resource", ["tasks", "dlq", "pool", "client", "cache"])
async def test_what_exists_is_taken_refused_or_ours(
    aws_account: AwsAccount, resource: str, owner: str, adopt: bool
) -> None:
    pool = await put(aws_account, resource, OTHERS.get(owner, US if owner == "us" else None))
    spec = spec_of(given=Given(user_pool_id=pool), adopt=adopt)
    before = await state(aws_account)

    if owner == "us" or (owner == "nobody" and adopt):
        await provision_stage(aws_account.clients, spec)
        await delete_stage(aws_account.clients, spec)
        assert (await aws_account.queue_names(), aws_account.caches.names) == ([], set())
        return
    with pytest.raises(NotOwnedError) as refused:
        await provision_stage(aws_account.clients, spec)
    await delete_stage(aws_account.clients, spec)
    assert kept(before, await state(aws_account))
    assert ("belongs to Stage" in str(refused.value)) == (owner != "nobody")


async def put(aws_account: AwsAccount, resource: str, owner: Identity | None) -> str | None:
    """One resource of our stage's name with the marks of its owner; the pool's id where the pool is given."""
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


async def test_a_refusal_comes_before_anything_is_made(aws_account: AwsAccount) -> None:
    await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UserPoolTags=OTHERS["cluster"].tags(), UsernameAttributes=["email"]
    )

    with pytest.raises(NotOwnedError, match="belongs to Stage"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert aws_account.calls.writes == []


async def test_a_stage_may_use_another_stages_pool_with_a_client_of_its_own_name(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, spec_of())
    guest = StageSpec(replace(US, stage_name="pr-1", owner="pr-1/pr-1"), Given(user_pool_id=made.user_pool_id))

    await provision_stage(aws_account.clients, guest)
    await delete_stage(aws_account.clients, guest)

    assert await provision_stage(aws_account.clients, spec_of()) == made
    assert len(await aws_account.user_pool_clients(made.user_pool_id)) == 1


async def test_unreadable_tags_of_a_given_queue_matter_only_to_who_adopts(aws_account: AwsAccount) -> None:
    given = Given(*await foreign_queues(aws_account))

    def deny(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListQueueTags")

    aws_account.clients.sqs.meta.events.register("before-call.sqs.ListQueueTags", deny)

    await provision_stage(aws_account.clients, spec_of(given=given))
    with pytest.raises(PermanentError, match=r"sqs:ListQueueTags .*allow sqs:ListQueueTags"):
        await provision_stage(aws_account.clients, spec_of(given=given, adopt=True))


async def test_a_removal_leaves_what_another_owner_has_marked_meanwhile(aws_account: AwsAccount) -> None:
    made = await provision_stage(aws_account.clients, spec_of())
    other = OTHERS["cluster"]
    for url in (made.queue_url, made.dead_letter_queue_url):
        await aws_account.sqs.tag_queue(QueueUrl=url, Tags=other.tags())
    log = ReconcileLog(US)

    await delete_stage(aws_account.clients, spec_of(), log)

    assert await aws_account.queue_names() == ["notification-api-dev-dlq", "notification-api-dev-tasks"]
    assert aws_account.caches.names == {CACHE}  # recorded on the other's queues, too
    assert [pool["Name"] for pool in await aws_account.user_pools()] == []
    assert [notice for notice in log.notices if "Momento cache" in notice and "another-cluster" in notice]
    assert [notice for notice in log.notices if "queue notification-api-dev-tasks" in notice]


async def test_of_two_stages_made_at_the_same_moment_none_takes_the_others(aws_account: AwsAccount) -> None:
    given_pool, given_queues = await foreign_pool(aws_account), await foreign_queues(aws_account)
    specs = [
        StageSpec(OTHERS["namespace"], Given(user_pool_id=given_pool), adopt=True),
        spec_of(given=Given(*given_queues), adopt=True),
    ]

    made = await both(aws_account, specs)

    assert len(made) == 1  # the other is refused: they share the cache's name
    loser = next(spec for spec in specs if spec not in made)
    before = set(aws_account.caches.names)
    await delete_stage(aws_account.clients, loser)
    assert aws_account.caches.names == before == {CACHE}
    await provision_stage(aws_account.clients, made[0])
    await delete_stage(aws_account.clients, made[0])
    assert aws_account.caches.names == set()


async def both(aws_account: AwsAccount, specs: list[StageSpec]) -> list[StageSpec]:
    """Make both at once, again until one is made; which are."""
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
        made = [spec for spec in specs if await tried(aws_account, spec)]  # as their pauses differ, one comes first
        if made:
            return made
    return []


async def tried(aws_account: AwsAccount, spec: StageSpec) -> bool:
    try:
        await provision_stage(aws_account.clients, spec)
    except (NotOwnedError, ResourceUnavailable):
        return False
    return True


async def test_a_mark_written_by_another_during_the_adoption_wins(aws_account: AwsAccount) -> None:
    url = (await aws_account.sqs.create_queue(QueueName="notification-api-dev-dlq"))["QueueUrl"]

    async def overtake(**_: object) -> None:
        await aws_account.sqs.tag_queue(QueueUrl=url, Tags=OTHERS["namespace"].tags())

    aws_account.clients.sqs.meta.events.register("after-call.sqs.TagQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it
    before = await state(aws_account)

    with pytest.raises(NotOwnedError, match="belongs to Stage another/stage"):
        await provision_stage(aws_account.clients, spec_of(adopt=True))

    assert (await state(aws_account))["caches"] == before["caches"]
    assert await aws_account.queue_names() == ["notification-api-dev-dlq"]


async def test_a_record_written_by_another_after_ours_withdraws_ours(aws_account: AwsAccount) -> None:
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


async def test_of_two_stages_of_one_name_made_at_the_same_moment_one_gets_everything(aws_account: AwsAccount) -> None:
    specs = [spec_of(), StageSpec(OTHERS["namespace"])]

    [winner] = await both(aws_account, specs)

    loser = next(spec for spec in specs if spec != winner)
    with pytest.raises(NotOwnedError):
        await provision_stage(aws_account.clients, loser)
    made = await provision_stage(aws_account.clients, winner)
    await delete_stage(aws_account.clients, loser)
    aws_account.calls.reset()
    assert await provision_stage(aws_account.clients, winner) == made
    assert aws_account.calls.writes == []


async def test_of_two_stages_that_adopt_at_the_same_moment_none_deletes_what_the_other_got(
    aws_account: AwsAccount,
) -> None:
    for name in ("tasks", "dlq"):
        await aws_account.sqs.create_queue(QueueName=f"notification-api-dev-{name}")
    await aws_account.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])
    aws_account.caches.names.add(CACHE)
    specs = [spec_of(adopt=True), StageSpec(OTHERS["namespace"], adopt=True)]
    await asyncio.gather(*(tried(aws_account, spec) for spec in specs))

    made = [spec for spec in specs if await tried(aws_account, spec)]

    assert len(made) < 2
    for loser in [spec for spec in specs if spec not in made]:
        before = await state(aws_account)
        await delete_stage(aws_account.clients, loser)
        theirs = {name for name, tags in before["queues"].items() if not loser.identity.owns(tags)}
        assert theirs <= set(await aws_account.queue_names())
    if made:
        assert CACHE in aws_account.caches.names
        assert await tried(aws_account, made[0])


async def test_a_cache_that_two_stages_recorded_is_used_by_both_and_deleted_with_the_last(
    aws_account: AwsAccount,
) -> None:
    """As an older operator, which read the marks of fewer resources, may have left it."""
    theirs = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(aws_account)))
    await provision_stage(aws_account.clients, theirs)
    ours = spec_of(given=Given(*await foreign_queues(aws_account)))
    record = {"notification-api.io/made-cache": CACHE}
    await aws_account.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UserPoolTags=US.tags() | record, UsernameAttributes=["email"]
    )
    log = ReconcileLog(US)

    await provision_stage(aws_account.clients, ours, log)
    await provision_stage(aws_account.clients, theirs)
    assert [notice for notice in log.notices if "also belongs to Stage another/stage" in notice]

    await delete_stage(aws_account.clients, ours)
    assert aws_account.caches.names == {CACHE}
    await delete_stage(aws_account.clients, theirs)
    assert aws_account.caches.names == set()
