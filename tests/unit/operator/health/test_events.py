"""Events are posted when a condition changes, and not for each reading."""

from k8s.operator.api.status import ConditionType
from k8s.operator.health.stage_health import EVENT_INTERVAL_SECONDS
from tests.support.operator.health_loop import HealthLoopHarness
from tests.support.operator.release import container, starting, waiting


async def test_a_problem_that_lasts_is_one_event_and_its_end_another() -> None:
    stage = HealthLoopHarness()
    await stage.provisioned()
    await stage.run_once()
    well = stage.release.pods["t1"]
    stage.release.pods["t1"] = waiting(well, "ImagePullBackOff")
    stage.apply()
    for _ in range(5):
        await stage.run_once()
    stage.release.pods["t1"] = well
    stage.apply()
    await stage.run_once()
    assert stage.kubernetes.events() == ["Ready", "ImagePullFailed", "Recovered"]


async def test_a_problem_that_comes_and_goes_is_repeated_after_ten_minutes_only() -> None:
    stage = HealthLoopHarness()
    await stage.provisioned()
    well = stage.release.pods["t1"]
    for _ in range(10):
        for pod in (well, waiting(well, "ImagePullBackOff")):
            stage.release.pods["t1"] = pod
            stage.apply()
            await stage.run_once(EVENT_INTERVAL_SECONDS / 100)
    assert stage.kubernetes.events().count("ImagePullFailed") == 1
    stage.now += EVENT_INTERVAL_SECONDS
    stage.release.pods["t1"] = well
    stage.apply()
    await stage.run_once()
    stage.release.pods["t1"] = waiting(well, "ImagePullBackOff")
    stage.apply()
    await stage.run_once()
    assert stage.kubernetes.events().count("ImagePullFailed") == 2


async def test_ready_is_posted_again_only_if_not_ready_was_posted() -> None:
    stage = HealthLoopHarness()
    await stage.provisioned()
    for replicas in (2, 0, 2, 0, 2):
        stage.release.deployments["token"]["spec"]["replicas"] = replicas
        stage.apply()
        await stage.run_once()
    posted = [event for event in stage.kubernetes.events() if event in ("Ready", "NotReady")]
    assert posted == ["Ready", "NotReady", "Ready"]


async def test_a_crash_loop_writes_the_status_once_for_all_restarts() -> None:
    stage = HealthLoopHarness()
    await stage.provisioned()
    await stage.run_once()
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    for restarts in range(1, 5):
        pod = waiting(stage.release.pods["t1"], "CrashLoopBackOff", lastState=ended, restartCount=restarts)
        again = starting(pod)
        container(again)["lastState"] = ended
        for each in (pod, again):
            stage.release.pods["t1"] = each
            stage.apply()
            await stage.run_once()
    patches = [call for call in stage.kubernetes.calls.made if call.endswith("/status")]
    assert len(patches) == 2
    assert stage.condition(ConditionType.DEGRADED).message.startswith(
        "dev-token: 1 of 2 pods ready: crashed: exit code 1"
    )
