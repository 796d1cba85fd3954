"""No Stage takes or deletes what bears the marks of another, whichever resources are given, adopting or not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError

from k8s.operator.resources.errors import NotOurs, Permanent, ResourceUnavailable
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.outputs import StageOutputs
from k8s.operator.resources.reconcile_log import Pass
from k8s.operator.resources.removal import remove_stage
from k8s.operator.resources.spec import Given, StageSpec
from k8s.operator.resources.stage import make_stage
from tests.support.operator.aws_account import World, spec_of, stage_world
from tests.support.processes.ministack import MiniStack, ministack_process

US = spec_of().identity
OTHERS = {
    "stage": replace(US, owner="dev/another"),
    "namespace": replace(US, owner="another/stage"),
    "cluster": replace(US, cluster="another-cluster"),
    "service": Identity("notification", "api-dev", US.cluster, owner="dev/notification"),
}
CACHE, CLIENT = "notification-api-dev", "notification-api-dev-UserPoolClient"


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[World]:
    async with stage_world(stack) as made:
        yield made


async def foreign_pool(world: World) -> str:
    return (await world.idp.create_user_pool(PoolName="somebodys"))["UserPool"]["Id"]


async def foreign_queues(world: World) -> tuple[str, str]:
    tasks = (await world.sqs.create_queue(QueueName="somebodys"))["QueueUrl"]
    return tasks, (await world.sqs.create_queue(QueueName="somebodys-dead"))["QueueUrl"]


async def state(world: World) -> dict[str, Any]:
    """Names and marks of all there is."""
    tags = {name: await world.queue_tags(name) for name in await world.queue_names()}
    pools = {pool["Id"]: pool["UserPoolTags"] for pool in await world.user_pools()}
    clients = {pool_id: [each["ClientId"] for each in await world.user_pool_clients(pool_id)] for pool_id in pools}
    return {"queues": tags, "pools": pools, "clients": clients, "caches": set(world.caches.names)}


def kept(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether all that there was is still there with its marks."""
    return (
        before["queues"].items() <= after["queues"].items()
        and before["pools"].items() <= after["pools"].items()
        and all(set(ids) <= set(after["clients"][pool_id]) for pool_id, ids in before["clients"].items())
        and before["caches"] <= after["caches"]
    )


async def test_adoption_takes_no_cache_of_a_stage_with_a_given_pool(world: World) -> None:
    theirs = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(world)))
    await make_stage(world.clients, theirs)
    before = await state(world)
    ours = spec_of(given=Given(*await foreign_queues(world)), adopt=True)

    with pytest.raises(
        NotOurs,
        match=r"Momento cache notification-api-dev belongs to Stage another/stage of cluster test-cluster "
        r"\(tags of queue notification-api-dev-(dlq|tasks): .*notification-api\.io/owner=another/stage",
    ):
        await make_stage(world.clients, ours)
    await remove_stage(world.clients, ours)

    assert kept(before, await state(world))
    assert [pool["Name"] for pool in await world.user_pools()] == ["somebodys"]


async def test_adoption_takes_no_client_in_another_stages_pool(world: World) -> None:
    made = await make_stage(world.clients, StageSpec(OTHERS["namespace"]))
    before = await state(world)
    given = Given(*await foreign_queues(world), user_pool_id=made.user_pool_id, cache_name="somebodys")
    ours = spec_of(given=given, adopt=True)

    with pytest.raises(NotOurs, match=r"client .*-UserPoolClient in user pool .* belongs to Stage another/stage"):
        await make_stage(world.clients, ours)
    await remove_stage(world.clients, ours)

    assert kept(before, await state(world))


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("theirs", [("made", "made"), ("made", "given"), ("given", "made")], ids="-".join)
@pytest.mark.parametrize("ours", list(product(["made", "given", "theirs"], repeat=2)), ids="-".join)
async def test_nothing_of_another_stage_is_taken_or_deleted(
    world: World, ours: tuple[str, str], theirs: tuple[str, str], adopt: bool
) -> None:
    """`ours` and `theirs`: queues and pool, each made, given, or (ours) those of the other stage."""
    other = OTHERS["namespace" if adopt else "service"]
    tasks, dead_letter = await foreign_queues(world) if theirs[0] == "given" else (None, None)
    pool = await foreign_pool(world) if theirs[1] == "given" else None
    their_given = Given(tasks, dead_letter, pool)
    their_spec = StageSpec(other, their_given)
    made = await make_stage(world.clients, their_spec)
    before = await state(world)
    our_spec = spec_of(given=await our_given(world, ours, made), adopt=adopt)

    with pytest.raises(Permanent) as refused:
        await make_stage(world.clients, our_spec)
    await remove_stage(world.clients, our_spec)

    assert kept(before, await state(world))
    if "made" in ours:  # else it has nothing to keep a record on
        assert isinstance(refused.value, NotOurs)
        assert f"belongs to Stage {other.owner} of cluster {other.cluster}" in str(refused.value)
    assert await make_stage(world.clients, their_spec) == made
    await remove_stage(world.clients, their_spec)
    assert world.caches.names == set()


async def our_given(world: World, ours: tuple[str, str], made: StageOutputs) -> Given:
    tasks: str | None = None
    dead_letter: str | None = None
    if ours[0] == "theirs":
        tasks, dead_letter = made.queue_url, made.dead_letter_queue_url
    elif ours[0] == "given":
        tasks, dead_letter = await foreign_queues(world)
    pools = {"made": None, "theirs": made.user_pool_id}
    return Given(tasks, dead_letter, await foreign_pool(world) if ours[1] == "given" else pools[ours[1]])


@pytest.mark.parametrize(
    ("owner", "adopt"), [*product(["nobody", "us"], [False, True]), *product(OTHERS, [True]), ("namespace", False)]
)
@pytest.mark.parametrize("resource", ["tasks", "dlq", "pool", "client", "cache"])
async def test_what_exists_is_taken_refused_or_ours(world: World, resource: str, owner: str, adopt: bool) -> None:
    pool = await put(world, resource, OTHERS.get(owner, US if owner == "us" else None))
    spec = spec_of(given=Given(user_pool_id=pool), adopt=adopt)
    before = await state(world)

    if owner == "us" or (owner == "nobody" and adopt):
        await make_stage(world.clients, spec)
        await remove_stage(world.clients, spec)
        assert (await world.queue_names(), world.caches.names) == ([], set())
        return
    with pytest.raises(NotOurs) as refused:
        await make_stage(world.clients, spec)
    await remove_stage(world.clients, spec)
    assert kept(before, await state(world))
    assert ("belongs to Stage" in str(refused.value)) == (owner != "nobody")


async def put(world: World, resource: str, owner: Identity | None) -> str | None:
    """One resource of our stage's name with the marks of its owner; the pool's id where the pool is given."""
    tags = owner.tags() if owner else {}
    if resource in {"tasks", "dlq"}:
        await world.sqs.create_queue(QueueName=f"notification-api-dev-{resource}", tags=tags)
        return None
    if resource == "pool":
        await world.idp.create_user_pool(
            PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"], UserPoolTags=tags
        )
        return None
    if resource == "client":
        pool = await foreign_pool(world)
        await world.idp.create_user_pool_client(UserPoolId=pool, ClientName=CLIENT)
        if owner:
            record = {"notification-api.io/made-client": pool}
            await world.sqs.create_queue(QueueName="notification-api-dev-dlq", tags=tags | record)
        return pool
    world.caches.names.add(CACHE)
    if owner:
        record = {"notification-api.io/made-cache": CACHE}
        await world.sqs.create_queue(QueueName="notification-api-dev-dlq", tags=tags | record)
    return None


async def test_a_refusal_comes_before_anything_is_made(world: World) -> None:
    await world.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UserPoolTags=OTHERS["cluster"].tags(), UsernameAttributes=["email"]
    )

    with pytest.raises(NotOurs, match="belongs to Stage"):
        await make_stage(world.clients, spec_of(adopt=True))

    assert world.calls.writes == []


async def test_a_stage_may_use_another_stages_pool_with_a_client_of_its_own_name(world: World) -> None:
    made = await make_stage(world.clients, spec_of())
    guest = StageSpec(replace(US, stage_name="pr-1", owner="pr-1/pr-1"), Given(user_pool_id=made.user_pool_id))

    await make_stage(world.clients, guest)
    await remove_stage(world.clients, guest)

    assert await make_stage(world.clients, spec_of()) == made
    assert len(await world.user_pool_clients(made.user_pool_id)) == 1


async def test_unreadable_tags_of_a_given_queue_matter_only_to_who_adopts(world: World) -> None:
    given = Given(*await foreign_queues(world))

    def deny(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListQueueTags")

    world.clients.sqs.meta.events.register("before-call.sqs.ListQueueTags", deny)

    await make_stage(world.clients, spec_of(given=given))
    with pytest.raises(Permanent, match=r"sqs:ListQueueTags .*allow sqs:ListQueueTags"):
        await make_stage(world.clients, spec_of(given=given, adopt=True))


async def test_a_removal_leaves_what_another_owner_has_marked_meanwhile(world: World) -> None:
    made = await make_stage(world.clients, spec_of())
    other = OTHERS["cluster"]
    for url in (made.queue_url, made.dead_letter_queue_url):
        await world.sqs.tag_queue(QueueUrl=url, Tags=other.tags())
    one_pass = Pass(US)

    await remove_stage(world.clients, spec_of(), one_pass)

    assert await world.queue_names() == ["notification-api-dev-dlq", "notification-api-dev-tasks"]
    assert world.caches.names == {CACHE}  # recorded on the other's queues, too
    assert [pool["Name"] for pool in await world.user_pools()] == []
    assert [notice for notice in one_pass.notices if "Momento cache" in notice and "another-cluster" in notice]
    assert [notice for notice in one_pass.notices if "queue notification-api-dev-tasks" in notice]


async def test_of_two_stages_made_at_the_same_moment_none_takes_the_others(world: World) -> None:
    given_pool, given_queues = await foreign_pool(world), await foreign_queues(world)
    specs = [
        StageSpec(OTHERS["namespace"], Given(user_pool_id=given_pool), adopt=True),
        spec_of(given=Given(*given_queues), adopt=True),
    ]

    made = await both(world, specs)

    assert len(made) == 1  # the other is refused: they share the cache's name
    loser = next(spec for spec in specs if spec not in made)
    before = set(world.caches.names)
    await remove_stage(world.clients, loser)
    assert world.caches.names == before == {CACHE}
    await make_stage(world.clients, made[0])
    await remove_stage(world.clients, made[0])
    assert world.caches.names == set()


async def both(world: World, specs: list[StageSpec]) -> list[StageSpec]:
    """Make both at once, again until one is made; which are."""
    for _ in range(5):
        done = await asyncio.gather(*(make_stage(world.clients, spec) for spec in specs), return_exceptions=True)
        assert not [
            each for each in done if isinstance(each, Exception) and not isinstance(each, NotOurs | ResourceUnavailable)
        ]
        made = [spec for spec, each in zip(specs, done, strict=True) if isinstance(each, StageOutputs)]
        if made:
            return made
        made = [spec for spec in specs if await tried(world, spec)]  # as their pauses differ, one comes first
        if made:
            return made
    return []


async def tried(world: World, spec: StageSpec) -> bool:
    try:
        await make_stage(world.clients, spec)
    except (NotOurs, ResourceUnavailable):
        return False
    return True


async def test_a_mark_written_by_another_during_the_adoption_wins(world: World) -> None:
    url = (await world.sqs.create_queue(QueueName="notification-api-dev-dlq"))["QueueUrl"]

    async def overtake(**_: object) -> None:
        await world.sqs.tag_queue(QueueUrl=url, Tags=OTHERS["namespace"].tags())

    world.clients.sqs.meta.events.register("after-call.sqs.TagQueue", overtake)  # type: ignore[arg-type] # aiobotocore awaits it
    before = await state(world)

    with pytest.raises(NotOurs, match="belongs to Stage another/stage"):
        await make_stage(world.clients, spec_of(adopt=True))

    assert (await state(world))["caches"] == before["caches"]
    assert await world.queue_names() == ["notification-api-dev-dlq"]


async def test_a_record_written_by_another_after_ours_withdraws_ours(world: World) -> None:
    spec = spec_of(given=Given(*await foreign_queues(world)))
    record = {"notification-api.io/made-cache": CACHE}

    async def overtake(params: dict[str, Any], **_: object) -> None:
        if "made-cache" in str(params):
            await world.sqs.create_queue(QueueName="notification-api-dev-dlq", tags=OTHERS["namespace"].tags() | record)

    world.clients.idp.meta.events.register("before-call.cognito-idp.TagResource", overtake)  # type: ignore[arg-type] # aiobotocore awaits it

    with pytest.raises(NotOurs, match="belongs to Stage another/stage"):
        await make_stage(world.clients, spec)

    assert world.caches.names == set()
    assert "notification-api.io/made-cache" not in (await world.user_pools("notification-api"))[0]["UserPoolTags"]


async def test_of_two_stages_of_one_name_made_at_the_same_moment_one_gets_everything(world: World) -> None:
    specs = [spec_of(), StageSpec(OTHERS["namespace"])]

    [winner] = await both(world, specs)

    loser = next(spec for spec in specs if spec != winner)
    with pytest.raises(NotOurs):
        await make_stage(world.clients, loser)
    made = await make_stage(world.clients, winner)
    await remove_stage(world.clients, loser)
    world.calls.forget()
    assert await make_stage(world.clients, winner) == made
    assert world.calls.writes == []


async def test_of_two_stages_that_adopt_at_the_same_moment_none_deletes_what_the_other_got(world: World) -> None:
    for name in ("tasks", "dlq"):
        await world.sqs.create_queue(QueueName=f"notification-api-dev-{name}")
    await world.idp.create_user_pool(PoolName="notification-api-dev-UserPool", UsernameAttributes=["email"])
    world.caches.names.add(CACHE)
    specs = [spec_of(adopt=True), StageSpec(OTHERS["namespace"], adopt=True)]
    await asyncio.gather(*(tried(world, spec) for spec in specs))

    made = [spec for spec in specs if await tried(world, spec)]

    assert len(made) < 2
    for loser in [spec for spec in specs if spec not in made]:
        before = await state(world)
        await remove_stage(world.clients, loser)
        theirs = {name for name, tags in before["queues"].items() if not loser.identity.owns(tags)}
        assert theirs <= set(await world.queue_names())
    if made:
        assert CACHE in world.caches.names
        assert await tried(world, made[0])


async def test_a_cache_that_two_stages_recorded_is_used_by_both_and_deleted_with_the_last(world: World) -> None:
    """As an older operator, which read the marks of fewer resources, may have left it."""
    theirs = StageSpec(OTHERS["namespace"], Given(user_pool_id=await foreign_pool(world)))
    await make_stage(world.clients, theirs)
    ours = spec_of(given=Given(*await foreign_queues(world)))
    record = {"notification-api.io/made-cache": CACHE}
    await world.idp.create_user_pool(
        PoolName="notification-api-dev-UserPool", UserPoolTags=US.tags() | record, UsernameAttributes=["email"]
    )
    one_pass = Pass(US)

    await make_stage(world.clients, ours, one_pass)
    await make_stage(world.clients, theirs)
    assert [notice for notice in one_pass.notices if "also belongs to Stage another/stage" in notice]

    await remove_stage(world.clients, ours)
    assert world.caches.names == {CACHE}
    await remove_stage(world.clients, theirs)
    assert world.caches.names == set()
