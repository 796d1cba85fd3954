"""The operator may be killed after any call: the next process continues, without duplicates, losses or leftovers."""

import socket
from contextlib import suppress
from dataclasses import replace

import pytest
from aiobotocore.session import get_session

from k8s.operator.resources.clients import client_config
from k8s.operator.resources.errors import ResourceUnavailable
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import Given, StageSpec
from k8s.operator.resources.stage import delete_stage, provision_stage
from k8s.operator.resources.user_pool import UserPool
from tests.support.fakes.calls import Killed
from tests.support.operator.aws_account import AwsAccount, spec_of
from tests.support.processes.ministack import REGION, ClientSettings

WHOLE = {
    "queues": ["crash-{0}-dlq", "crash-{0}-tasks"],
    "pools": ["crash-{0}-UserPool"],
    "clients": ["crash-{0}-UserPoolClient"],
    "caches": ["crash-{0}"],
}


async def _calls_of_making(aws_account: AwsAccount, spec: StageSpec) -> int:
    aws_account.calls.reset()
    await provision_stage(aws_account.clients, spec)
    return len(aws_account.calls.made)


@pytest.mark.timeout(180)  # some thousand calls
async def test_provisioning_killed_after_any_call_gives_the_same_stage(aws_account: AwsAccount) -> None:
    calls = await _calls_of_making(aws_account, spec_of("counted", "k"))
    assert calls >= 17

    for k in range(1, calls + 1):
        spec = spec_of("crash", f"{k:02}")
        aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await provision_stage(aws_account.clients, spec)
        aws_account.calls.reset()
        outputs = await provision_stage(aws_account.clients, spec)

        whole = {kind: [name.format(f"{k:02}") for name in names] for kind, names in WHOLE.items()}
        assert await aws_account.everything(f"crash-{k:02}-") | {"caches": [outputs.cache_name]} == whole, (
            f"killed after {k}"
        )
        assert outputs.cache_name in aws_account.caches.names
        aws_account.calls.reset()
        assert await provision_stage(aws_account.clients, spec) == outputs
        assert aws_account.calls.writes == []


@pytest.mark.timeout(180)  # some thousand calls
async def test_provisioning_killed_repeatedly_completes(aws_account: AwsAccount) -> None:
    spec = spec_of("crash", "often")
    for k in range(1, 40):
        aws_account.calls.reset(kill_after=k)
        with suppress(Killed):
            await provision_stage(aws_account.clients, spec)
            break
    else:
        pytest.fail("never got through")

    aws_account.calls.reset()
    assert await aws_account.everything("crash-often") == {
        kind: [name.format("often") for name in names] for kind, names in WHOLE.items()
    }


@pytest.mark.timeout(180)  # some thousand calls
async def test_a_deletion_killed_after_any_call_is_completed(aws_account: AwsAccount) -> None:
    await provision_stage(aws_account.clients, spec_of("counted", "r"))
    aws_account.calls.reset()
    await delete_stage(aws_account.clients, spec_of("counted", "r"))
    calls = len(aws_account.calls.made)
    assert calls >= 14

    for k in range(1, calls + 1):
        spec = spec_of("deleted", f"{k:02}")
        await provision_stage(aws_account.clients, spec)
        aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await delete_stage(aws_account.clients, spec)
        aws_account.calls.reset()
        await delete_stage(aws_account.clients, spec)

        assert not any((await aws_account.everything(f"deleted-{k:02}")).values()), f"killed after {k}"


@pytest.mark.timeout(180)  # some thousand calls
async def test_deleting_a_partially_provisioned_stage_leaves_nothing(aws_account: AwsAccount) -> None:
    calls = await _calls_of_making(aws_account, spec_of("counted", "h"))

    for k in range(1, calls + 1):
        spec = spec_of("half", f"{k:02}")
        aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await provision_stage(aws_account.clients, spec)
        aws_account.calls.reset()
        await delete_stage(aws_account.clients, spec)

        assert not any((await aws_account.everything(f"half-{k:02}")).values()), f"killed after {k}"


@pytest.mark.timeout(180)  # some thousand calls
async def test_a_client_in_an_existing_pool_survives_kills_and_is_deleted_completely(aws_account: AwsAccount) -> None:
    pool = (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    given = Given(user_pool_id=pool)
    calls = await _calls_of_making(aws_account, spec_of("counted", "g", given=given))
    await delete_stage(aws_account.clients, spec_of("counted", "g", given=given))

    for k in range(1, calls + 1):
        spec = spec_of("guest", f"{k:02}", given=given)
        aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await provision_stage(aws_account.clients, spec)
        aws_account.calls.reset()
        await provision_stage(aws_account.clients, spec)
        assert len(await aws_account.user_pool_clients(pool)) == 1, f"killed after {k}"
        await delete_stage(aws_account.clients, spec)
        assert await aws_account.user_pool_clients(pool) == [], f"killed after {k}"


async def test_foreign_resources_created_after_ours_were_deleted_are_not_used(aws_account: AwsAccount) -> None:
    pool = (await aws_account.idp.create_user_pool(PoolName="foreign"))["UserPool"]["Id"]
    spec = spec_of("crash", "late", given=Given(user_pool_id=pool))
    await provision_stage(aws_account.clients, spec)
    dying = True

    def die(**_: object) -> None:
        if dying:
            raise Killed("before the queues went")

    aws_account.clients.sqs.meta.events.register("before-call.sqs.DeleteQueue", die)
    with pytest.raises(Killed):
        await delete_stage(aws_account.clients, spec)

    await aws_account.idp.create_user_pool_client(UserPoolId=pool, ClientName=spec.identity.names.user_pool_client)
    aws_account.caches.names.add("crash-late")
    dying = False
    await delete_stage(aws_account.clients, spec)

    assert len(await aws_account.user_pool_clients(pool)) == 1
    assert aws_account.caches.names == {"crash-late"}
    assert await aws_account.queue_names() == []


async def test_an_unreachable_aws_is_transient_and_the_error_names_the_call(aws_account: AwsAccount) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody_listens = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = ClientSettings(
        endpoint_url=nobody_listens, region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local"
    )
    async with get_session().create_client("sqs", config=client_config(), **settings) as sqs:
        with pytest.raises(ResourceUnavailable, match="sqs:GetQueueUrl on crash-dev-dlq"):
            await provision_stage(replace(aws_account.clients, sqs=sqs), spec_of("crash", "dev"))


def test_a_pool_with_users_is_chosen_before_an_empty_older_one() -> None:
    older, newer = UserPool(_described("a", 1, users=0)), UserPool(_described("b", 2, users=3))

    assert sorted([older, newer], key=UserPool.preference) == [newer, older]


def _described(pool_id: str, created: int, users: int) -> dict[str, object]:
    return {"Id": pool_id, "CreationDate": created, "EstimatedNumberOfUsers": users}


async def test_of_two_owned_pools_the_same_is_always_used_and_the_other_logged(aws_account: AwsAccount) -> None:
    spec = spec_of("twice", "dev")
    pools = [
        await aws_account.idp.create_user_pool(
            PoolName=spec.identity.names.user_pool, UserPoolTags=spec.identity.tags(), UsernameAttributes=["email"]
        )
        for _ in range(2)
    ]
    log = ReconcileLog(spec.identity)

    outputs = await provision_stage(aws_account.clients, spec, log)

    assert outputs.user_pool_id == pools[0]["UserPool"]["Id"]
    assert [notice for notice in log.notices if pools[1]["UserPool"]["Id"] in notice]
    assert (await provision_stage(aws_account.clients, spec)).user_pool_id == outputs.user_pool_id

    await delete_stage(aws_account.clients, spec)
    assert await aws_account.user_pools() == []
