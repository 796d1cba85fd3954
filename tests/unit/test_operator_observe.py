"""A stage's work observed: what cannot be read is named, and never taken for zero."""

from k8s.operator.kubernetes import Unreachable
from k8s.operator.scaling.observe import Depth, Observer
from k8s.operator.scaling.scrape import Sample, Scraped, Scraper, Target
from k8s.operator.scaling.types import Figure, Memory, Observed
from k8s.operator.stage_object import StageRef
from tests.support.operator_fakes import FakeKubernetes, pod


class Pods(Scraper):
    """Answers for pods by name; None is no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, Sample | None] = {}

    async def all(self, targets: object) -> list[Scraped]:
        asked = [target for target in targets if isinstance(target, Target)]  # type: ignore[attr-defined]
        return [Scraped(each.pod, self.answers[each.pod], "no answer in time") for each in asked]


class Scene:
    """One stage, and a clock."""

    def __init__(self) -> None:
        self.kubernetes, self.pods, self.now = FakeKubernetes(), Pods(), 0.0
        self.observer = Observer(self.kubernetes, self.pods, StageRef("n", "dev", "u"), clock=lambda: self.now)

    async def look(self, depth: Depth | None = Depth(0, 0)) -> Observed:  # noqa: B008 -- frozen
        return await self.observer.observe(depth, "SQS is away", None, Memory())


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
