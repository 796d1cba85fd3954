"""A stage's work observed: what cannot be read is named, and never taken for zero."""

import pytest

from k8s.operator.kubernetes import Unreachable
from k8s.operator.scaling.observe import Depth, Observer
from k8s.operator.scaling.scrape import Sample, Scraped, Scraper, Target
from k8s.operator.scaling.types import Figure, Memory, Observed
from k8s.operator.stage_object import StageRef
from k8s.operator.workloads import Workload
from tests.support.operator_fakes import FakeKubernetes, pod

PROCESSORS = Workload("dev-processor", "processor", 1, 1, available=True, grace_seconds=60.0, outputs_checksum=None)


class Pods(Scraper):
    """Answers for pods by name; None is no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, Sample | None] = {}
        self.closed: set[str] = set()
        self.reasons: dict[str, dict[str, str]] = {}

    async def all(self, targets: object) -> list[Scraped]:
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
        self.kubernetes, self.pods, self.now = FakeKubernetes(), Pods(), 0.0
        self.observer = Observer(self.kubernetes, self.pods, StageRef("n", "dev", "u"), clock=lambda: self.now)

    async def look(self, depth: Depth | None = Depth(0, 0)) -> Observed:  # noqa: B008 -- frozen
        return await self.observer.observe(depth, "SQS is away", PROCESSORS, Memory())


def ingest(accepted: float) -> Sample:
    return {("tasks_accepted_total", ()): accepted}


def processor(failed: float = 0, finished: float = 0, seconds: float = 0, in_hand: float = 0) -> Sample:
    return {
        ("task_duration_seconds_count", (("outcome", "failed"),)): failed,
        ("task_duration_seconds_count", (("outcome", "finished"),)): finished,
        ("task_duration_seconds_sum", (("outcome", "finished"),)): seconds,
        ("tasks_in_process", ()): in_hand,
        ("tasks_waiting", ()): 1.0,
        ("slots", ()): 8.0,
    }


async def test_arrivals_are_a_rate_over_all_of_ingests_pods() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest"), pod("i2", "ingest")]
    scene.pods.answers = {"i1": ingest(100), "i2": ingest(0)}
    assert (await scene.look()).arrivals_per_second is None
    scene.now, scene.pods.answers = 10.0, {"i1": ingest(130), "i2": ingest(20)}
    assert (await scene.look()).arrivals_per_second == 5.0


async def test_one_pod_that_does_not_answer_makes_the_figure_unreadable() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("i1", "ingest"), pod("i2", "ingest")]
    scene.pods.answers = {"i1": ingest(1), "i2": None}
    observed = await scene.look()
    assert observed.unreadable == {Figure.ARRIVALS: "pod i2: no answer in time"}
    assert observed.arrivals_per_second is None


async def test_a_queue_that_cannot_be_read_is_not_an_empty_one() -> None:
    observed = await Scene().look(depth=None)
    assert observed.visible is None
    assert observed.unreadable == {Figure.BACKLOG: "SQS is away"}


async def test_without_kubernetes_nothing_about_pods_is_known() -> None:
    scene = Scene()
    scene.kubernetes.error = Unreachable("away")
    assert set((await scene.look()).unreadable) == {Figure.REPLICAS, Figure.ARRIVALS, Figure.TASKS}


async def test_tasks_in_hand_are_counted_by_pod_and_slots_as_the_pods_say() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1"), pod("p2")]
    scene.pods.answers = {"p1": processor(in_hand=3), "p2": processor()}
    observed = await scene.look()
    assert observed.in_flight_by_pod == {"p1": 4, "p2": 1}
    assert scene.observer.work.slots == 8


async def test_the_mean_task_time_is_of_those_that_ended_lately() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1")]
    scene.pods.answers = {"p1": processor(finished=100, seconds=900)}
    assert (await scene.look()).task_seconds is None
    scene.now, scene.pods.answers = 2.0, {"p1": processor(finished=104, seconds=908)}
    assert (await scene.look()).task_seconds == 2.0


async def test_failing_is_said_of_five_failures_and_no_success() -> None:
    for failed, finished, failing in ((4, 0, False), (5, 0, True), (50, 1, False)):
        scene = Scene()
        scene.kubernetes.pods = [pod("p1")]
        scene.pods.answers = {"p1": processor()}
        await scene.look()
        scene.now, scene.pods.answers = 2.0, {"p1": processor(failed=failed, finished=finished)}
        assert (await scene.look()).failing is failing


async def test_a_crash_loop_is_seen_in_the_pods() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1", waiting="CrashLoopBackOff"), pod("p2", waiting="ContainerCreating")]
    assert (await scene.look()).crash_looping
    scene.kubernetes.pods = [pod("p1", waiting="ContainerCreating")]
    assert not (await scene.look()).crash_looping


class TestAPodThatIsNotReady:
    """A processor that is too busy to say that it is ready has tasks in hand all the same."""

    async def scene(self, **changes: str) -> Scene:
        scene = Scene()
        scene.kubernetes.pods = [pod("busy", ready=False, **changes), pod("idle")]
        scene.pods.answers = {"busy": None, "idle": processor()}
        await scene.look()
        return scene

    async def test_is_asked_and_its_tasks_are_counted(self) -> None:
        scene = await self.scene()
        scene.pods.answers["busy"] = processor(in_hand=4)
        observed = await scene.look(Depth(0, 5))
        assert observed.in_flight_by_pod == {"busy": 5, "idle": 1}
        assert observed.busy_unready == 1
        assert not observed.unreadable

    async def test_and_does_not_answer_may_have_what_is_in_flight(self) -> None:
        observed = await (await self.scene()).look(Depth(0, 5))
        assert observed.unreadable == {Figure.TASKS: "pod busy, not ready: no answer in time"}

    async def test_and_does_not_answer_has_nothing_where_nothing_is_in_flight(self) -> None:
        assert not (await (await self.scene()).look(Depth(3, 0))).unreadable

    async def test_and_does_not_listen_yet_has_nothing(self) -> None:
        scene = await self.scene()
        scene.pods.closed = {"busy"}
        assert not (await scene.look(Depth(0, 5))).unreadable

    async def test_and_began_after_the_last_look_is_given_time_to_answer(self) -> None:
        assert not (await (await self.scene(runs_since="2999-01-01T00:00:00Z")).look(Depth(0, 5))).unreadable

    async def test_and_whose_container_does_not_run_is_not_asked(self) -> None:
        scene = Scene()
        scene.kubernetes.pods = [pod("dead", waiting="CrashLoopBackOff")]
        assert not (await scene.look(Depth(0, 5))).unreadable


async def test_a_pod_that_goes_counts_no_more_among_those_with_tasks_in_hand() -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("going", terminating=True), pod("stays")]
    scene.pods.answers = {"going": processor(in_hand=3), "stays": processor()}
    assert (await scene.look()).in_flight_by_pod == {"stays": 1}


async def test_starts_are_measured_once_a_pod_from_its_creation_to_its_being_ready() -> None:
    scene = Scene()
    scene.pods.answers = {"a": processor(), "b": processor(), "c": processor()}
    starts = scene.observer.work.starts
    assert starts.seconds == 4.0
    scene.kubernetes.pods = [pod("a", ready_at="2026-01-01T00:00:20Z"), pod("b", ready=False)]
    scene.pods.closed = {"b"}
    await scene.look()
    assert starts.measured == 20.0
    # Ready again after a while, or after a restart: no start to learn from.
    scene.kubernetes.pods = [
        pod("a", ready_at="2026-01-01T01:00:00Z"),
        pod("b", ready_at="2026-01-01T00:00:30Z"),
        pod("c", ready_at="2026-01-01T00:40:00Z", restarts=1),
    ]
    await scene.look()
    assert starts.measured == 25.0


def long_tasks(ended: float, within_24_seconds: float) -> Sample:
    outcome = (("outcome", "finished"),)
    return {
        ("task_duration_seconds_count", outcome): ended,
        ("task_duration_seconds_bucket", (("le", "24.0"), *outcome)): within_24_seconds,
    }


@pytest.mark.parametrize(("ended", "within", "outlasting"), [(0, 0, None), (9, 9, False), (9, 8, True)])
async def test_tasks_outlast_a_drain_that_take_half_of_the_grace(
    ended: float, within: float, outlasting: bool | None
) -> None:
    scene = Scene()
    scene.kubernetes.pods = [pod("p1")]
    scene.pods.answers = {"p1": long_tasks(0, 0)}
    await scene.look()
    scene.now, scene.pods.answers = 2.0, {"p1": long_tasks(ended, within)}
    observed = await scene.look()
    assert observed.outlasting is outlasting
    assert observed.succeeding is (ended > 0)


class TestAProcessorThatReceivesNothing:
    """Paused, or not ready for a cause of its own; one that has just started is neither."""

    PAUSED: Sample = {("receiving_paused", ()): 1.0, ("ready", ()): 1.0}  # noqa: RUF012 -- read only
    UNREADY: Sample = {("receiving_paused", ()): 0.0, ("ready", ()): 0.0}  # noqa: RUF012 -- read only

    async def look(self, sample: Sample, reasons: dict[str, str], **changes: str) -> dict[str, str]:
        scene = Scene()
        scene.kubernetes.pods = [pod("p1", **changes), pod("p2")]
        scene.pods.answers = {"p1": sample, "p2": processor()}
        scene.pods.reasons = {"p1": reasons}
        return dict((await scene.look()).cannot_receive)

    async def test_is_named_with_the_cause_that_it_gives(self) -> None:
        cause = "Momento refuses the API key"
        assert await self.look(self.PAUSED, {"receiving": cause}) == {"p1": cause}

    async def test_of_an_older_image_is_named_without_a_cause(self) -> None:
        assert await self.look(self.PAUSED, {}) == {"p1": "receiving is paused"}

    async def test_is_named_where_it_is_not_ready(self) -> None:
        reasons = {"queue": "The task queue cannot be used", "service": "starting"}
        assert await self.look(self.UNREADY, reasons) == {"p1": "The task queue cannot be used"}

    async def test_is_not_named_while_it_starts(self) -> None:
        reasons = {"queue": "the queue was not reached yet"}
        assert await self.look(self.UNREADY, reasons, runs_since="2999-01-01T00:00:00Z") == {}

    async def test_is_not_named_while_it_stops(self) -> None:
        assert await self.look(self.UNREADY, {"service": "draining: it was told to stop"}) == {}
