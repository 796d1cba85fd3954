"""The scaling loop: what it reports when it cannot scale, and how often it polls."""

from collections.abc import Iterator
from math import isnan
from typing import Any

import pytest

from k8s.operator.api.client import Refused, Unreachable
from k8s.operator.api.scrape import Scraped, Scraper, Target
from k8s.operator.api.status import ConditionType
from k8s.operator.metrics import remove_stage_series
from notification_api import TransientError
from tests.support.fakes.kubernetes import pod
from tests.support.operator.scaling_loop import DEAD_LETTERS, OLD_STATUS, QUEUE, ScalingLoopHarness


@pytest.fixture(autouse=True)
def _no_series_left() -> Iterator[None]:
    yield
    remove_stage_series("n", "dev")


class TestAScalingThatIsRefused:
    async def scene(self) -> ScalingLoopHarness:
        scene = ScalingLoopHarness()
        scene.sqs.counts[QUEUE] = (50, 0)
        scene.kubernetes.refused = {"/scale": Refused("forbidden by a webhook", 403)}
        return scene

    async def test_is_reported_once_and_raised_each_time(self) -> None:
        scene = await self.scene()
        for _ in range(3):
            with pytest.raises(Refused):
                await scene.run_once()
            scene.now += 2
        reported = scene.condition(ConditionType.SCALING)
        assert (reported.status, reported.reason) == (False, "CannotScale")
        assert "forbidden by a webhook" in reported.message
        assert scene.events("CannotScale") == 0, "Degraded posts it once it lasts"
        assert scene.gauge("scaling_blocked") == 1
        assert len([path for path, _ in scene.kubernetes.patches if path.endswith("/status")]) == 1

    async def test_ends_when_it_is_allowed_again(self) -> None:
        scene = await self.scene()
        with pytest.raises(Refused):
            await scene.run_once()
        scene.kubernetes.refused = {}
        await scene.run_once()
        assert scene.condition(ConditionType.SCALING).reason == "Operating"
        assert scene.gauge("scaling_blocked") == 0
        assert scene.events("ScaledOut") == 1

    async def test_deployments_that_cannot_be_listed_are_reported_alike(self) -> None:
        scene = ScalingLoopHarness()
        await scene.run_once()
        scene.sqs.counts[QUEUE] = (50, 0)
        scene.kubernetes.error = Refused("deployments is forbidden", 403)
        with pytest.raises(Refused):
            await scene.run_once()
        assert scene.condition(ConditionType.SCALING).reason == "CannotScale"
        assert scene.gauge("scaling_blocked") == 1

    async def test_a_status_that_cannot_be_written_hides_no_error(self) -> None:
        scene = await self.scene()
        scene.kubernetes.refused["/status"] = Unreachable("away")
        with pytest.raises(Refused):
            await scene.run_once()


class TestADeletedProcessor:
    async def test_is_reported_and_no_longer_counts_as_blocked(self) -> None:
        scene = ScalingLoopHarness()
        scene.sqs.counts[QUEUE] = (50, 3)
        scene.kubernetes.refused = {"/scale": Refused("forbidden by a webhook", 403)}
        with pytest.raises(Refused):
            await scene.run_once()
        assert scene.gauge("scaling_blocked") == 1
        scene.kubernetes.deployments.pop()
        await scene.run_once()
        assert scene.condition(ConditionType.SCALING).reason == "NoProcessor"
        assert scene.gauge("scaling_blocked") is None
        assert scene.gauge("scaling_replicas_desired") is None

    async def test_still_has_a_measured_backlog(self) -> None:
        scene = ScalingLoopHarness()
        await scene.run_once()
        scene.kubernetes.deployments.pop()
        for visible in (50, 60):
            scene.sqs.counts[QUEUE] = (visible, 3)
            await scene.run_for(2)
            assert scene.gauge("scaling_messages_visible") == visible
            assert scene.gauge("scaling_messages_in_flight") == 3


class TestThePollInterval:
    async def test_a_stage_that_never_becomes_ready_is_idle(self) -> None:
        scene = ScalingLoopHarness(minReplicas=1)
        scene.deploy("token", 1, available=False)
        scene.deploy("processor", 1)
        scene.kubernetes.deployments[-1]["status"]["readyReplicas"] = 0
        await scene.run_for(300)
        lists = scene.kubernetes.lists
        await scene.run_for(300)
        assert scene.kubernetes.lists - lists <= 2 * 300 / 30

    async def test_a_stage_without_deployments_is_idle_at_once(self) -> None:
        scene = ScalingLoopHarness()
        scene.kubernetes.deployments = []
        pauses = await scene.run_for(300)
        assert min(pauses[1:]) == 5.0
        assert scene.kubernetes.lists <= 2 * (1 + 300 / 30)

    @pytest.mark.parametrize("engine", ["keda", "none"])
    async def test_a_stage_with_external_scaling_is_idle_whatever_its_size(self, engine: str) -> None:
        scene = ScalingLoopHarness(engine=engine)
        scene.deploy("processor", 7)
        pauses = await scene.run_for(60)
        assert min(pauses[1:]) == 5.0
        assert QUEUE not in scene.sqs.asked

    async def test_a_stage_with_work_is_polled_every_two_seconds(self) -> None:
        scene = ScalingLoopHarness()
        scene.sqs.counts[QUEUE] = (3, 0)
        assert set(await scene.run_for(20)) == {2.0}


async def test_external_scaling_removes_the_scaling_series() -> None:
    scene = ScalingLoopHarness()
    scene.sqs.error = TransientError("away")
    await scene.run_once()
    assert scene.gauge("scaling_blocked") == 1
    scene.stage = scene.with_scaling(generation=2, engine="keda")
    await scene.run_once()
    assert scene.gauge("scaling_blocked") is None
    assert scene.gauge("backlog_seconds") is None


class TestQueueMetrics:
    async def test_the_backlog_age_counts_from_the_latest_poll_that_found_none(self) -> None:
        scene = ScalingLoopHarness()
        await scene.run_once()
        assert scene.gauge("backlog_seconds") == 0
        scene.sqs.counts[QUEUE] = (5, 0)
        for seconds in (5.0, 7.0):
            scene.now = 1_000.0 + seconds
            await scene.run_once()
            assert scene.gauge("backlog_seconds") == seconds
        scene.sqs.counts[QUEUE] = (0, 5)
        await scene.run_once()
        assert scene.gauge("backlog_seconds") == 0

    async def test_the_backlog_age_grows_over_a_failed_poll(self) -> None:
        scene = ScalingLoopHarness()
        scene.sqs.counts[QUEUE] = (5, 0)
        await scene.run_once()
        scene.now, scene.sqs.error = 1_100.0, TransientError("away")
        await scene.run_once()
        assert scene.gauge("backlog_seconds") == 100

    async def test_the_backlog_age_starts_again_after_external_scaling(self) -> None:
        scene = ScalingLoopHarness()
        await scene.run_once()
        scene.stage = scene.with_scaling(generation=2, engine="none")
        await scene.run_once()
        scene.now, scene.stage = 5_000.0, scene.with_scaling(generation=3)
        scene.sqs.counts[QUEUE] = (5, 0)
        await scene.run_once()
        assert scene.gauge("backlog_seconds") == 0

    async def test_a_queue_never_read_has_no_backlog_age(self) -> None:
        scene = ScalingLoopHarness()
        scene.sqs.error = TransientError("away")
        await scene.run_once()
        assert isnan(scene.gauge("backlog_seconds") or 0.0)

    @pytest.mark.parametrize(("scaling", "waiting", "requests"), [({}, 3, 10), ({}, 0, 2), ({"engine": "keda"}, 3, 2)])
    async def test_dead_letters_are_counted_every_minute_with_work_and_every_resync_when_idle(
        self, scaling: dict[str, Any], waiting: int, requests: int
    ) -> None:
        scene = ScalingLoopHarness(OLD_STATUS, **scaling)
        scene.sqs.counts = {QUEUE: (waiting, 0), DEAD_LETTERS: (4, 1)}
        await scene.run_for(598)
        assert scene.sqs.asked.count(DEAD_LETTERS) == requests
        assert scene.gauge("dead_letters") == 4 + 1

    async def test_dead_letters_that_cannot_be_counted_are_not_zero(self) -> None:
        scene = ScalingLoopHarness(OLD_STATUS)
        scene.sqs.error = TransientError("away")
        await scene.run_once()
        assert isnan(scene.gauge("dead_letters") or 0.0)


class Answers(Scraper):
    """Every pod reports its slots, given by its name."""

    def __init__(self, **slots: float) -> None:
        self.slots = slots

    async def read_all(self, targets: object) -> list[Scraped]:
        asked = [each.pod for each in targets if isinstance(each, Target)]  # type: ignore[attr-defined]
        return [Scraped(name, {("slots", ()): self.slots[name]}) for name in asked]


class NoAnswer(Scraper):
    """No pod answers."""

    async def read_all(self, targets: object) -> list[Scraped]:
        return [Scraped(each.pod, None, "no answer in time") for each in targets if isinstance(each, Target)]  # type: ignore[attr-defined]


class TestAChangeOfConcurrency:
    """312 tasks of five seconds that begin within ten: 13 replicas of 20 slots, 3 of 100."""

    async def scene(self, *, before: int, after: int) -> ScalingLoopHarness:
        """Its only processor has reported `before` slots; the Stage has been changed to `after` since."""
        scene = ScalingLoopHarness(slotsPerReplica=before, minReplicas=1)
        scene.deploy("processor", 1)
        scene.kubernetes.pods = [pod("old", revision="old", ready_at="2026-01-01T00:00:04Z")]
        scene.loop.observer.scraper = Answers(old=before)
        await scene.run_once()
        scene.stage = scene.with_scaling(generation=2, slotsPerReplica=after)
        return scene

    async def replicas(self, scene: ScalingLoopHarness) -> int:
        scene.sqs.counts[QUEUE] = (312, 0)
        await scene.run_once()
        decided = scene.gauge("scaling_replicas_desired")
        assert decided is not None
        return int(decided)

    @pytest.mark.parametrize(("before", "after", "replicas"), [(20, 100, 3), (100, 20, 13)])
    async def test_applies_from_zero_at_once(self, before: int, after: int, replicas: int) -> None:
        scene = await self.scene(before=before, after=after)
        scene.deploy("processor", 0)
        scene.kubernetes.pods = []
        assert await self.replicas(scene) == replicas

    @pytest.mark.parametrize(("before", "after", "replicas"), [(20, 100, 3), (100, 20, 13)])
    async def test_applies_to_an_operator_that_has_just_started(self, before: int, after: int, replicas: int) -> None:
        scene = ScalingLoopHarness(slotsPerReplica=after)
        assert await self.replicas(scene) == replicas

    async def test_the_pods_of_the_newest_revision_win_over_the_stage(self) -> None:
        """CONCURRENCY may be set by `extraEnv`, which the Stage does not show."""
        scene = await self.scene(before=20, after=20)
        new = pod("new", revision="new", created="2026-01-01T00:01:00Z")
        scene.kubernetes.pods = [pod("old", revision="old"), new]
        scene.loop.observer.scraper = Answers(old=20, new=100)
        scene.deploy("processor", 1)
        assert await self.replicas(scene) == 2, "one is ready, and starts 200 of 312"

    async def test_an_older_revision_does_not_count_while_the_newer_starts(self) -> None:
        scene = await self.scene(before=20, after=100)
        new = pod("new", revision="new", created="2026-01-01T00:01:00Z", waiting="ContainerCreating")
        scene.kubernetes.pods = [pod("old", revision="old"), new]
        assert await self.replicas(scene) == 2, "13 with the 20 slots of the older one"


async def test_a_block_states_its_cause_and_changes_only_with_it() -> None:
    scene = ScalingLoopHarness(minReplicas=1)
    scene.deploy("processor", 1)
    reported = []
    for image, waiting in (("x:1", 500), ("x:1", 900), ("x:2", 900)):
        scene.kubernetes.pods = [pod("p", waiting="ImagePullBackOff", image=image)]
        scene.sqs.counts[QUEUE] = (waiting, 0)
        await scene.run_once()
        condition = scene.condition(ConditionType.SCALING)
        assert (condition.status, condition.reason) == (False, "ProcessorCannotStart")
        reported.append(condition.message)
        scene.now += 2
    assert "no processor can start: ImagePullBackOff x:1" in reported[0]
    assert reported[0] == reported[1]
    assert "no processor can start: ImagePullBackOff x:2" in reported[2]


async def test_a_block_names_the_sources_that_are_unreadable_now() -> None:
    scene = ScalingLoopHarness(minReplicas=1)
    scene.deploy("processor", 1)
    scene.sqs.error = TransientError("SQS is away")
    await scene.run_once()
    assert "SQS is away" in scene.condition(ConditionType.SCALING).message
    scene.sqs.error = None
    scene.kubernetes.pods = [pod("p")]
    scene.loop.observer.scraper = NoAnswer()
    scene.sqs.counts[QUEUE] = (1, 0)
    scene.now += 2
    await scene.run_once()
    reported = scene.condition(ConditionType.SCALING)
    assert reported.reason == "MetricsUnreadable"
    assert "pod p" in reported.message
    assert "SQS is away" not in reported.message
