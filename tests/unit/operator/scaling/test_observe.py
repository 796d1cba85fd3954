"""Observing a stage: a source that cannot be read is reported, and its values are never zero."""

from dataclasses import replace

import pytest

from k8s.operator.api.client import Json, Unreachable
from k8s.operator.api.scrape import Sample, Scraped, Scraper, Target
from k8s.operator.api.stage import StageRef
from k8s.operator.api.workloads import Workload
from k8s.operator.policy.types import Memory, Observed, Source
from k8s.operator.scaling.observe import Observer
from k8s.operator.scaling.queues import QueueDepth
from tests.support.fakes.kubernetes import StubKubernetes, pod

PROCESSORS = Workload("dev-processor", "processor", 1, 1, available=True, grace_seconds=60.0, outputs_checksum=None)


class Pods(Scraper):
    """Answers for pods by name; None is no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, Sample | None] = {}
        self.closed: set[str] = set()
        self.reasons: dict[str, dict[str, str]] = {}

    async def read_all(self, targets: object) -> list[Scraped]:
        asked = [target for target in targets if isinstance(target, Target)]  # type: ignore[attr-defined]
        return [
            Scraped(
                each.pod,
                self.answers[each.pod],
                "no answer in time",
                is_closed=each.pod in self.closed,
                reasons=self.reasons.get(each.pod, {}),
            )
            for each in asked
        ]


class Scene:
    """One stage, and a clock."""

    def __init__(self) -> None:
        self.kubernetes, self.pods, self.now = StubKubernetes(), Pods(), 0.0
        self.observer = Observer(self.kubernetes, self.pods, StageRef("n", "dev", "u"), clock=lambda: self.now)

    async def poll(self, depth: QueueDepth | None = QueueDepth(0, 0)) -> Observed:  # noqa: B008 -- frozen
        return await self.observer.observe(depth, "SQS is away", PROCESSORS, Memory())


def ingest(available: float, accepted: float | None = None) -> Sample:
    accepted = available if accepted is None else accepted
    return {("tasks_accepted_total", ()): accepted, ("tasks_available_total", ()): available}


def processor(failed: float = 0, finished: float = 0, seconds: float = 0, tasks: float = 0) -> Sample:
    return {
        ("task_duration_seconds_count", (("outcome", "failed"),)): failed,
        ("task_duration_seconds_count", (("outcome", "finished"),)): finished,
        ("task_duration_seconds_sum", (("outcome", "finished"),)): seconds,
        ("tasks_in_process", ()): tasks,
        ("tasks_waiting", ()): 1.0,
        ("slots", ()): 8.0,
    }


async def test_arrivals_are_a_rate_over_all_of_ingests_pods() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest"), pod("i2", "ingest")]
    scene.pods.answers = {"i1": ingest(100), "i2": ingest(0)}
    assert (await scene.poll()).arrivals_per_second is None
    scene.now, scene.pods.answers = 10.0, {"i1": ingest(130), "i2": ingest(20)}
    assert (await scene.poll()).arrivals_per_second == 5.0


async def test_a_delayed_task_arrives_when_its_delay_has_passed() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest")]
    for now, accepted, available, arrivals in ((0.0, 0, 0, None), (10.0, 50, 0, 0.0), (20.0, 50, 50, 2.5)):
        scene.now, scene.pods.answers = now, {"i1": ingest(available, accepted)}
        assert (await scene.poll()).arrivals_per_second == arrivals


async def test_an_ingest_that_does_not_count_available_tasks_is_read_too() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest"), pod("i2", "ingest")]
    scene.pods.answers = {"i1": {("tasks_accepted_total", ()): 7.0}, "i2": ingest(0)}
    await scene.poll()
    scene.now, scene.pods.answers = 10.0, {"i1": {("tasks_accepted_total", ()): 27.0}, "i2": ingest(30)}
    assert (await scene.poll()).arrivals_per_second == 5.0


async def test_one_pod_that_does_not_answer_makes_ingest_unreadable() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest"), pod("i2", "ingest")]
    scene.pods.answers = {"i1": ingest(1), "i2": None}
    observed = await scene.poll()
    assert observed.unreadable == {Source.INGEST: "pod i2: no answer in time"}
    assert observed.arrivals_per_second is None


async def test_an_unreadable_queue_is_not_an_empty_one() -> None:
    observed = await Scene().poll(depth=None)
    assert observed.backlog is None
    assert observed.unreadable == {Source.QUEUE: "SQS is away"}


async def test_without_kubernetes_only_the_queue_is_readable() -> None:
    scene = Scene()
    scene.kubernetes.error = Unreachable("away")
    assert set((await scene.poll()).unreadable) == {Source.KUBERNETES, Source.INGEST, Source.PROCESSOR}


async def test_tasks_are_counted_by_pod_and_slots_are_as_reported() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1"), pod("p2")]
    scene.pods.answers = {"p1": processor(tasks=3), "p2": processor()}
    observed = await scene.poll()
    assert observed.tasks_by_pod == {"p1": 4, "p2": 1}
    assert scene.observer.history.slots.of_newest_revision == 8


async def test_the_mean_task_time_is_of_recently_ended_tasks() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1")]
    scene.pods.answers = {"p1": processor(finished=100, seconds=900)}
    assert (await scene.poll()).task_seconds is None
    scene.now, scene.pods.answers = 2.0, {"p1": processor(finished=104, seconds=908)}
    assert (await scene.poll()).task_seconds == 2.0


async def test_the_mean_task_time_is_of_all_task_types_by_their_number() -> None:
    def typed(quick: float, slow: float) -> Sample:
        sample: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for name, outcome, count, seconds in (
            ("quick", "finished", quick, 1.0),
            ("slow", "finished", slow, 100.0),
            ("slow", "failed", slow, 100.0),
            ("unused", "finished", 0, 0.0),
        ):
            labels = (("outcome", outcome), ("type", name))
            sample["task_duration_seconds_count", labels] = count
            sample["task_duration_seconds_sum", labels] = count * seconds
        return sample

    scene = Scene()
    scene.kubernetes.pods = [pod("p1")]
    scene.pods.answers = {"p1": typed(0, 0)}
    await scene.poll()
    scene.now, scene.pods.answers = 2.0, {"p1": typed(80, 10)}
    observed = await scene.poll()
    assert observed.task_seconds == (80 * 1 + 20 * 100) / 100
    assert observed.any_task_finished
    assert not observed.all_tasks_failed


async def test_all_tasks_failed_means_five_failures_and_no_success() -> None:
    for failed, finished, failing in ((4, 0, False), (5, 0, True), (50, 1, False)):
        scene = Scene()
        scene.kubernetes.pods = [pod("p1")]
        scene.pods.answers = {"p1": processor()}
        await scene.poll()
        scene.now, scene.pods.answers = 2.0, {"p1": processor(failed=failed, finished=finished)}
        assert (await scene.poll()).all_tasks_failed is failing


async def test_a_crash_loop_is_seen_in_the_pods() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1", waiting="CrashLoopBackOff"), pod("p2", waiting="ContainerCreating")]
    assert (await scene.poll()).crash_looping
    scene.kubernetes.pods = [pod("p1", waiting="ContainerCreating")]
    assert not (await scene.poll()).crash_looping


class TestAPodThatIsNotReady:
    """A processor that is too busy to become ready has tasks all the same."""

    async def scene(self, **changes: str) -> Scene:
        scene = Scene()
        scene.kubernetes.pods = [pod("busy", ready=False, **changes), pod("idle")]
        scene.pods.answers = {"busy": None, "idle": processor()}
        await scene.poll()
        return scene

    async def test_is_scraped_and_its_tasks_are_counted(self) -> None:
        scene = await self.scene()
        scene.pods.answers["busy"] = processor(tasks=4)
        observed = await scene.poll(QueueDepth(0, 5))
        assert observed.tasks_by_pod == {"busy": 5, "idle": 1}
        assert observed.busy_unready == 1
        assert not observed.unreadable

    async def test_and_does_not_answer_may_have_tasks(self) -> None:
        observed = await (await self.scene()).poll(QueueDepth(0, 5))
        assert observed.unreadable == {Source.PROCESSOR: "pod busy, not ready: no answer in time"}

    async def test_and_does_not_answer_has_no_tasks_if_none_is_in_flight(self) -> None:
        assert not (await (await self.scene()).poll(QueueDepth(3, 0))).unreadable

    async def test_and_does_not_listen_yet_has_no_tasks(self) -> None:
        scene = await self.scene()
        scene.pods.closed = {"busy"}
        assert not (await scene.poll(QueueDepth(0, 5))).unreadable

    async def test_and_started_after_the_last_poll_may_answer_later(self) -> None:
        assert not (await (await self.scene(runs_since="2999-01-01T00:00:00Z")).poll(QueueDepth(0, 5))).unreadable

    async def test_and_whose_container_does_not_run_is_not_scraped(self) -> None:
        scene = Scene()
        scene.kubernetes.pods = [pod("dead", waiting="CrashLoopBackOff")]
        assert not (await scene.poll(QueueDepth(0, 5))).unreadable


async def test_the_tasks_of_a_terminating_pod_do_not_count() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("terminating", terminating=True), pod("remains")]
    scene.pods.answers = {"terminating": processor(tasks=3), "remains": processor()}
    assert (await scene.poll()).tasks_by_pod == {"remains": 1}


async def test_a_start_is_measured_once_per_pod_from_creation_to_readiness() -> None:
    scene = Scene()
    scene.pods.answers = {"a": processor(), "b": processor(), "c": processor()}
    start_times = scene.observer.history.start_times
    assert start_times.expected_seconds == 4.0
    scene.kubernetes.pods = [pod("a", ready_at="2026-01-01T00:00:20Z"), pod("b", ready=False)]
    scene.pods.closed = {"b"}
    await scene.poll()
    assert start_times.measured_seconds == 20.0
    # Ready again after a while, or after a restart: not a start.
    scene.kubernetes.pods = [
        pod("a", ready_at="2026-01-01T01:00:00Z"),
        pod("b", ready_at="2026-01-01T00:00:30Z"),
        pod("c", ready_at="2026-01-01T00:40:00Z", restarts=1),
    ]
    await scene.poll()
    assert start_times.measured_seconds == 25.0


def long_tasks(ended: float, within_24_seconds: float) -> Sample:
    outcome = (("outcome", "finished"),)
    return {
        ("task_duration_seconds_count", outcome): ended,
        ("task_duration_seconds_bucket", (("le", "24.0"), *outcome)): within_24_seconds,
    }


@pytest.mark.parametrize(("ended", "within", "outlasting"), [(0, 0, None), (9, 9, False), (9, 8, True)])
async def test_tasks_outlast_a_drain_from_half_of_the_grace_period_on(
    ended: float, within: float, outlasting: bool | None
) -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1")]
    scene.pods.answers = {"p1": long_tasks(0, 0)}
    await scene.poll()
    scene.now, scene.pods.answers = 2.0, {"p1": long_tasks(ended, within)}
    observed = await scene.poll()
    assert observed.tasks_outlast_drain is outlasting
    assert observed.any_task_finished is (ended > 0)


class TestAProcessorThatReceivesNothing:
    """Paused, or not ready for a cause; a processor that has just started is neither."""

    PAUSED: Sample = {("receiving_paused", ()): 1.0, ("ready", ()): 1.0}  # noqa: RUF012 -- read only
    UNREADY: Sample = {("receiving_paused", ()): 0.0, ("ready", ()): 0.0}  # noqa: RUF012 -- read only

    async def poll(self, sample: Sample, reasons: dict[str, str], **changes: str) -> dict[str, str]:
        scene = Scene()
        scene.kubernetes.pods = [pod("p1", **changes), pod("p2")]
        scene.pods.answers = {"p1": sample, "p2": processor()}
        scene.pods.reasons = {"p1": reasons}
        return dict((await scene.poll()).not_receiving_pods)

    async def test_is_reported_with_its_cause(self) -> None:
        cause = "Momento refuses the API key"
        assert await self.poll(self.PAUSED, {"receiving": cause}) == {"p1": cause}

    async def test_of_an_older_image_is_reported_without_a_cause(self) -> None:
        assert await self.poll(self.PAUSED, {}) == {"p1": "receiving is paused"}

    async def test_is_reported_if_it_is_not_ready(self) -> None:
        reasons = {"queue": "The task queue cannot be used", "service": "starting", "breaker": "Not tried yet."}
        assert await self.poll(self.UNREADY, reasons) == {"p1": "The task queue cannot be used"}

    async def test_is_not_reported_while_it_starts(self) -> None:
        reasons = {"queue": "the queue was not reached yet"}
        assert await self.poll(self.UNREADY, reasons, runs_since="2999-01-01T00:00:00Z") == {}

    async def test_is_not_reported_while_it_tries_its_first_notification(self) -> None:
        assert await self.poll(self.UNREADY, {"breaker": "No notification was tried yet."}) == {}

    async def test_is_not_reported_while_it_stops(self) -> None:
        assert await self.poll(self.UNREADY, {"service": "draining: stop signal received"}) == {}


def pod_without_node(name: str) -> Json:
    body = pod(name, revision="new", ready=False)
    body["status"]["containerStatuses"] = []
    body["status"]["conditions"].append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"})
    return body


class TestRevisions:
    """A revision that does not work beside one that does."""

    BAD: dict[str, str] = {"waiting": "ImagePullBackOff", "revision": "new", "image": "localhost/x:9"}  # noqa: RUF012

    async def poll(self, *pods: Json, workload: Workload = PROCESSORS, paused: tuple[str, ...] = ()) -> Observed:
        scene = Scene()
        scene.kubernetes.pods = list(pods)
        for body in pods:
            name = body["metadata"]["name"]
            scene.pods.answers[name] = {("receiving_paused", ()): float(name in paused)}
            scene.pods.reasons[name] = {"receiving": "key refused"} if name in paused else {}
        return await scene.observer.observe(QueueDepth(0, 0), "", workload, Memory())

    async def test_an_image_that_cannot_be_pulled_beside_a_working_revision_is_no_fault(self) -> None:
        workload = replace(PROCESSORS, max_surge="25%")
        observed = await self.poll(
            pod("a", revision="old"), pod("b", revision="old"), pod("c", **self.BAD), workload=workload
        )
        assert (observed.crash_looping, observed.cannot_start) == (False, "")
        assert observed.working_share == pytest.approx(2 / 3)
        assert observed.max_surge == "25%"
        assert observed.fault_summary == "1 of 3 processors do not work: ImagePullBackOff localhost/x:9"

    async def test_a_crashing_revision_beside_a_working_one_is_no_fault(self) -> None:
        crashing = [pod(name, revision="new", waiting="CrashLoopBackOff") for name in "bcd"]
        observed = await self.poll(pod("a", revision="old"), *crashing)
        assert not observed.crash_looping
        assert observed.working_share == 0.25

    async def test_a_paused_revision_beside_a_working_one_is_no_fault(self) -> None:
        observed = await self.poll(pod("a", revision="old"), pod("b", revision="new"), paused=("b",))
        assert observed.cannot_receive == ""
        assert observed.ready_not_receiving == 1

    async def test_a_single_revision_that_cannot_start_is_a_fault_with_its_cause(self) -> None:
        observed = await self.poll(pod("a", **self.BAD), pod("b", **self.BAD))
        assert (observed.crash_looping, observed.cannot_start) == (False, "ImagePullBackOff localhost/x:9")

    async def test_pods_that_wait_for_a_node_do_not_count(self) -> None:
        waiting = [pod_without_node(name) for name in "cdef"]
        observed = await self.poll(pod("a", **self.BAD), pod("b", **self.BAD), *waiting)
        assert observed.cannot_start == "ImagePullBackOff localhost/x:9"
        observed = await self.poll(pod("a", revision="new"), *waiting)
        assert (observed.crash_looping, observed.cannot_start, observed.cannot_receive) == (False, "", "")
        assert (await self.poll(*waiting)).cannot_start == ""

    async def test_two_revisions_of_which_none_works_are_a_fault(self) -> None:
        crashing = [pod(name, revision="old", waiting="CrashLoopBackOff") for name in "bc"]
        assert (await self.poll(pod("a", **self.BAD), *crashing)).crash_looping

    async def test_one_node_that_cannot_pull_is_no_fault(self) -> None:
        observed = await self.poll(pod("a", revision="new"), pod("b", **self.BAD), pod("c", **self.BAD))
        assert observed.cannot_start == ""
        assert observed.working_share == pytest.approx(1 / 3)
        assert observed.max_surge == "0"

    @pytest.mark.parametrize(("paused", "cause"), [("ab", ""), ("abc", "key refused"), ("abcd", "key refused")])
    async def test_receiving_is_paused_if_less_than_half_receive(self, paused: str, cause: str) -> None:
        observed = await self.poll(*(pod(name) for name in "abcd"), paused=tuple(paused))
        assert observed.cannot_receive == cause

    async def test_starting_pods_do_not_count_as_receiving(self) -> None:
        starting = [pod(name, waiting="ContainerCreating") for name in "bcd"]
        observed = await self.poll(pod("a"), *starting, paused=("a",))
        assert observed.cannot_receive == "key refused"


class TestSlots:
    """Of the newest revision only; otherwise they are unknown, and the Stage's setting counts."""

    def reports(self, slots: float) -> Sample:
        return {("slots", ()): slots}

    async def slots(self, scene: Scene, *, has_current_pods: bool = True) -> int | None:
        workload = replace(PROCESSORS, has_current_pods=has_current_pods)
        await scene.observer.observe(QueueDepth(0, 0), "", workload, Memory())
        return scene.observer.history.slots.of_newest_revision

    async def test_are_unknown_after_the_last_pod(self) -> None:
        scene = Scene()
        scene.kubernetes.pods, scene.pods.answers = [pod("a")], {"a": self.reports(100)}
        assert await self.slots(scene) == 100
        scene.kubernetes.pods = [pod("a", terminating=True)]
        assert await self.slots(scene) is None
        scene.kubernetes.pods = []
        assert await self.slots(scene) is None

    @pytest.mark.parametrize(("reported", "slots"), [((4, 20), 12), ((20, 1, 1), 7), ((0,), 1), ((0, 0.5), 1)])
    async def test_are_the_mean_of_the_pods_and_never_zero(self, reported: tuple[float, ...], slots: int) -> None:
        scene = Scene()
        names = "abc"[: len(reported)]
        scene.kubernetes.pods = [pod(name) for name in names]
        scene.pods.answers = {name: self.reports(value) for name, value in zip(names, reported, strict=True)}
        assert await self.slots(scene) == slots

    async def test_follow_what_the_pods_report(self) -> None:
        scene = Scene()
        scene.kubernetes.pods = [pod("a")]
        for reported in (20, 2, 0, 20):
            scene.pods.answers = {"a": self.reports(reported)}
            assert await self.slots(scene) == max(1, reported)

    async def test_are_those_of_the_newer_of_two_revisions(self) -> None:
        scene = Scene()
        new = pod("b", revision="new", created="2026-01-01T00:01:00Z")
        late = pod("c", revision="old", created="2026-01-01T00:02:00Z")
        scene.kubernetes.pods = [pod("a", revision="old"), new, late]
        scene.pods.answers = {"a": self.reports(100), "b": self.reports(20), "c": self.reports(100)}
        assert await self.slots(scene) == 20

    async def test_are_unknown_until_the_newer_revision_reports_them(self) -> None:
        scene = Scene()
        new = pod("b", revision="new", created="2026-01-01T00:01:00Z", waiting="ContainerCreating")
        scene.kubernetes.pods = [pod("a", revision="old"), new]
        scene.pods.answers = {"a": self.reports(100)}
        assert await self.slots(scene) is None

    async def test_are_unknown_while_all_pods_are_of_an_older_revision(self) -> None:
        scene = Scene()
        scene.kubernetes.pods, scene.pods.answers = [pod("a")], {"a": self.reports(100)}
        assert await self.slots(scene, has_current_pods=False) is None

    async def test_stay_while_a_pod_does_not_answer(self) -> None:
        scene = Scene()
        scene.kubernetes.pods, scene.pods.answers = [pod("a", ready=False)], {"a": self.reports(5)}
        assert await self.slots(scene) == 5
        scene.pods.answers = {"a": None}
        assert await self.slots(scene) == 5


async def test_a_pod_of_a_job_with_the_labels_is_no_processor() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1"), pod("job")]
    scene.kubernetes.pods[1]["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "job", "controller": True}]
    scene.pods.answers = {"p1": processor(), "job": None}
    assert (await scene.poll()).unreadable == {}
