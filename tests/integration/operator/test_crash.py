"""The operator may crash after any call to Kubernetes, AWS or Momento: the next one continues, and nothing is left."""

import pytest

from k8s.operator.api.stage import OUTPUTS_ANNOTATION, StageRef
from k8s.operator.controller.reconciler import Reconciler
from tests.support.fakes.calls import Killed
from tests.support.fakes.kubernetes import deployment, pod
from tests.support.operator.in_memory import InMemoryOperator

WHOLE = {
    "queues": ["notification-api-dev-dlq", "notification-api-dev-tasks"],
    "pools": ["notification-api-dev-UserPool"],
    "clients": ["notification-api-dev-UserPoolClient"],
    "caches": ["notification-api-dev"],
}
TOKEN = "/apis/apps/v1/namespaces/n/deployments/dev-token"
POD = "/api/v1/namespaces/n/pods/token-1"
OUTPUTS = "/api/v1/namespaces/n/configmaps/dev-outputs"


def apply(operator: InMemoryOperator) -> StageRef:
    """Create a Stage beside pods that have read outputs of an earlier release, so that they have to be rolled."""
    operator.kubernetes.put(TOKEN, deployment("token"))
    operator.kubernetes.put(POD, pod("token-1", "token"))
    return operator.kubernetes.put_stage().ref


def uninstall(operator: InMemoryOperator, ref: StageRef) -> None:
    """Remove the release and delete its Stage, as Helm does."""
    for path in (TOKEN, POD):
        operator.kubernetes.objects.pop(path, None)
    operator.kubernetes.delete(ref.path)


def started(operator: InMemoryOperator, ref: StageRef) -> Reconciler:
    """Return the reconciler of an operator that has just started."""
    return operator.reconciler(operator.kubernetes.stage(ref))


async def provision(operator: InMemoryOperator, ref: StageRef) -> None:
    reconciler = started(operator, ref)
    await reconciler.reconcile_once()
    assert operator.kubernetes.condition(ref, "Provisioned")["status"] == "True"


async def remove(operator: InMemoryOperator, ref: StageRef) -> None:
    if not operator.kubernetes.stage(ref).is_deleting:
        uninstall(operator, ref)
    assert await started(operator, ref).reconcile_once() is None


async def calls_of(operator: InMemoryOperator, work: Reconciler) -> int:
    operator.aws_account.calls.reset()
    await work.reconcile_once()
    return len(operator.aws_account.calls.made)


async def test_provisioning_killed_after_any_call_is_completed_by_the_next_reconcile(
    operator: InMemoryOperator,
) -> None:
    ref = apply(operator)
    calls = await calls_of(operator, started(operator, ref))
    assert {call.split(" ")[0] for call in operator.aws_account.calls.writes} >= {"Create", "Patch", "CreateQueue"}
    await remove(operator, ref)

    for k in range(1, calls + 1):
        ref = apply(operator)
        operator.aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await started(operator, ref).reconcile_once()
        operator.aws_account.calls.reset()
        await provision(operator, ref)

        assert await operator.aws_account.everything("notification-api") == WHOLE, f"killed after {k}"
        annotations = operator.kubernetes.objects[TOKEN]["spec"]["template"]["metadata"]["annotations"]
        assert OUTPUTS_ANNOTATION in annotations, f"killed after {k}"
        data = operator.kubernetes.objects[OUTPUTS]["data"]
        operator.aws_account.calls.reset()
        await provision(operator, ref)
        assert operator.aws_account.calls.writes == [], f"killed after {k}"
        assert operator.kubernetes.objects[OUTPUTS]["data"] == data
        await remove(operator, ref)


async def test_a_removal_killed_after_any_call_is_completed_by_the_next_reconcile(operator: InMemoryOperator) -> None:
    ref = apply(operator)
    await provision(operator, ref)
    uninstall(operator, ref)
    calls = await calls_of(operator, started(operator, ref))
    assert calls >= 18

    for k in range(1, calls + 1):
        ref = apply(operator)
        await provision(operator, ref)
        uninstall(operator, ref)
        operator.aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await started(operator, ref).reconcile_once()
        operator.aws_account.calls.reset()
        if ref.path in operator.kubernetes.objects:  # otherwise it crashed after it had removed the finalizer
            await remove(operator, ref)

        assert not any((await operator.aws_account.everything("notification-api")).values()), f"killed after {k}"
        assert not {ref.path, OUTPUTS} & set(operator.kubernetes.objects), f"killed after {k}"


async def test_a_stage_deleted_while_half_provisioned_leaves_nothing(operator: InMemoryOperator) -> None:
    ref = apply(operator)
    calls = await calls_of(operator, started(operator, ref))
    await remove(operator, ref)

    for k in range(1, calls + 1):
        ref = apply(operator)
        operator.aws_account.calls.reset(kill_after=k)
        with pytest.raises(Killed):
            await started(operator, ref).reconcile_once()
        operator.aws_account.calls.reset()
        uninstall(operator, ref)
        if ref.path in operator.kubernetes.objects:  # otherwise no resource existed yet, and no finalizer
            await remove(operator, ref)

        assert not any((await operator.aws_account.everything("notification-api")).values()), f"killed after {k}"
