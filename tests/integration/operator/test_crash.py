"""The operator may die after any call to Kubernetes, AWS or Momento: the next one goes on and nothing is left over."""

from collections.abc import AsyncIterator, Iterator

import pytest

from k8s.operator.api.stage import OUTPUTS_ANNOTATION, StageRef
from k8s.operator.controller.reconciler import Keeper
from tests.support.fakes.kubernetes import deployment, pod
from tests.support.operator.aws_account import Killed
from tests.support.operator.in_memory import KeeperWorld, keeper_world
from tests.support.processes.ministack import MiniStack, ministack_process

WHOLE = {
    "queues": ["notification-api-dev-dlq", "notification-api-dev-tasks"],
    "pools": ["notification-api-dev-UserPool"],
    "clients": ["notification-api-dev-UserPoolClient"],
    "caches": ["notification-api-dev"],
}
TOKEN = "/apis/apps/v1/namespaces/n/deployments/dev-token"
POD = "/api/v1/namespaces/n/pods/token-1"
OUTPUTS = "/api/v1/namespaces/n/configmaps/dev-outputs"


@pytest.fixture(scope="module")
def stack() -> Iterator[MiniStack]:
    with ministack_process() as running:
        yield running


@pytest.fixture
async def world(stack: MiniStack) -> AsyncIterator[KeeperWorld]:
    async with keeper_world(stack) as made:
        yield made


def apply(world: KeeperWorld) -> StageRef:
    """A Stage beside pods that have read the outputs of a release before it, so that they have to be rolled."""
    world.kubernetes.put(TOKEN, deployment("token"))
    world.kubernetes.put(POD, pod("token-1", "token"))
    return world.kubernetes.put_stage().ref


def uninstall(world: KeeperWorld, ref: StageRef) -> None:
    """As Helm does: nothing of the release is left, and its Stage is being deleted."""
    for path in (TOKEN, POD):
        world.kubernetes.objects.pop(path, None)
    world.kubernetes.delete(ref.path)


def started(world: KeeperWorld, ref: StageRef) -> Keeper:
    """The keeper of an operator that has just started."""
    return world.keeper(world.kubernetes.stage(ref))


async def make(world: KeeperWorld, ref: StageRef) -> None:
    keeper = started(world, ref)
    await keeper.reconcile_once()
    assert world.kubernetes.condition(ref, "Provisioned")["status"] == "True"


async def remove(world: KeeperWorld, ref: StageRef) -> None:
    if not world.kubernetes.stage(ref).is_deleting:
        uninstall(world, ref)
    assert await started(world, ref).reconcile_once() is None


async def calls_of(world: KeeperWorld, work: Keeper) -> int:
    world.world.calls.forget()
    await work.reconcile_once()
    return len(world.world.calls.made)


async def test_killed_after_any_call_of_making_the_next_pass_ends_as_if_nothing_had_been(world: KeeperWorld) -> None:
    ref = apply(world)
    calls = await calls_of(world, started(world, ref))
    assert {call.split(" ")[0] for call in world.world.calls.writes} >= {"Create", "Patch", "CreateQueue"}
    await remove(world, ref)

    for k in range(1, calls + 1):
        ref = apply(world)
        world.world.calls.forget(kill_after=k)
        with pytest.raises(Killed):
            await started(world, ref).reconcile_once()
        world.world.calls.forget()
        await make(world, ref)

        assert await world.world.everything("notification-api") == WHOLE, f"killed after {k}"
        annotations = world.kubernetes.objects[TOKEN]["spec"]["template"]["metadata"]["annotations"]
        assert OUTPUTS_ANNOTATION in annotations, f"killed after {k}"
        data = world.kubernetes.objects[OUTPUTS]["data"]
        world.world.calls.forget()
        await make(world, ref)
        assert world.world.calls.writes == [], f"killed after {k}"
        assert world.kubernetes.objects[OUTPUTS]["data"] == data
        await remove(world, ref)


async def test_killed_after_any_call_of_removing_the_next_pass_removes_the_rest(world: KeeperWorld) -> None:
    ref = apply(world)
    await make(world, ref)
    uninstall(world, ref)
    calls = await calls_of(world, started(world, ref))
    assert calls >= 18

    for k in range(1, calls + 1):
        ref = apply(world)
        await make(world, ref)
        uninstall(world, ref)
        world.world.calls.forget(kill_after=k)
        with pytest.raises(Killed):
            await started(world, ref).reconcile_once()
        world.world.calls.forget()
        if ref.path in world.kubernetes.objects:  # else it died having let go
            await remove(world, ref)

        assert not any((await world.world.everything("notification-api")).values()), f"killed after {k}"
        assert not {ref.path, OUTPUTS} & set(world.kubernetes.objects), f"killed after {k}"


async def test_a_stage_deleted_half_made_leaves_nothing(world: KeeperWorld) -> None:
    ref = apply(world)
    calls = await calls_of(world, started(world, ref))
    await remove(world, ref)

    for k in range(1, calls + 1):
        ref = apply(world)
        world.world.calls.forget(kill_after=k)
        with pytest.raises(Killed):
            await started(world, ref).reconcile_once()
        world.world.calls.forget()
        uninstall(world, ref)
        if ref.path in world.kubernetes.objects:  # else nothing had been made yet, and no finalizer held it
            await remove(world, ref)

        assert not any((await world.world.everything("notification-api")).values()), f"killed after {k}"
