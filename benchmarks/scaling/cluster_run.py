"""One burst through one stage of a real cluster, watched until everything is done and every pod is gone."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from benchmarks.scaling.simulator.figures import Figures, quantile
from tests.support.cluster.operator_on_cluster import OperatorWorld
from tests.support.cluster.tools import ClusterError, Namespace, wait_until_sync

OBJECTIVE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 1.0
LONGEST_SECONDS = 900.0
"""KEDA lets the last pod go some ten minutes after the last task."""
_SENDER = """
import time, uuid
queue = {queue!r}
tasks, longest = {tasks}, {longest}
entries = [
    {{
        "Id": str(number % 10),
        "MessageBody": json.dumps({{"userId": "user-%d" % (number % 50), "payload": json.dumps({{"data": "x"}})}}),
        "MessageGroupId": "user-%d" % (number % 50),
        "MessageAttributes": {{"taskId": {{"DataType": "String", "StringValue": str(uuid.uuid4())}}}},
    }}
    for number in range(tasks)
]
began = time.monotonic()
batches = (entries[at:at + 10] for at in range(0, tasks, 10))
await asyncio.gather(*(sqs.send_message_batch(QueueUrl=queue, Entries=batch) for batch in batches))
sent = time.monotonic()
print(json.dumps({{"sent": sent - began}}), flush=True)
names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
while time.monotonic() - sent < longest:
    counts = (await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names))["Attributes"]
    visible, in_flight = (int(counts[name]) for name in names)
    print(json.dumps({{"at": time.monotonic() - sent, "visible": visible, "in_flight": in_flight}}), flush=True)
    if not visible and not in_flight:
        break
    await asyncio.sleep(0.5)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What is sent, and the processors that work on it."""

    tasks: int = 500
    task_seconds: float = 5.0
    slots: int = 10
    max_replicas: int = 8


@dataclass(slots=True)
class Pods:
    """Pods as they were seen."""

    pod_seconds: float = 0.0
    ready_after: dict[str, float] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    """What the Deployment asked for, whenever it was another number."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a burst."""

    figures: Figures
    pod_ready_seconds: float
    seconds_to_send: float

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self.figures), "pod_ready_seconds": self.pod_ready_seconds}


def run_burst(world: OperatorWorld, place: Namespace, release: str, burst: Burst) -> Measured:
    """Begin with no pods at all, send the burst, watch."""
    deployment = f"{release}-processor"
    place.kubectl("scale", "deployment", deployment, "--replicas=0")
    wait_until_sync(lambda: not place.of_component(release, "processor"), "no processor left", timeout_seconds=180)
    queue = place.get("configmap", f"{release}-outputs")["data"]["TASK_QUEUE_URL"]
    code = _SENDER.format(queue=queue, tasks=burst.tasks, longest=LONGEST_SECONDS)
    with subprocess.Popen(_in_cluster(world.home, code), stdout=subprocess.PIPE, text=True) as sender:
        pods = _watch(place, release, deployment)
        told, _ = sender.communicate(timeout=60)
    if sender.returncode:
        raise ClusterError("the burst could not be sent or watched; see above")
    first, *depths = [json.loads(line) for line in told.splitlines()]
    waits = waits_of(depths, burst.tasks)
    figures = Figures(
        p50_wait_s=quantile(waits, 0.5),
        p95_wait_s=quantile(waits, 0.95),
        max_wait_s=waits[-1],
        objective_kept=sum(wait <= OBJECTIVE_SECONDS for wait in waits) / len(waits),
        pod_seconds=pods.pod_seconds,
        changes=len(pods.sizes) - 1,
        interrupted=handed_back(depths),
    )
    ready = list(pods.ready_after.values())
    return Measured(figures, sum(ready) / max(1, len(ready)), first["sent"])


def _in_cluster(home: Namespace, code: str) -> list[str]:
    """A command that runs statements with `sqs` open in the emulators' pod, where looking at the queue is cheap."""
    indented = "\n".join(" " * 8 + line for line in code.splitlines())
    program = (
        "import asyncio, json\nfrom aiobotocore.session import get_session\nasync def main():\n"
        f"    async with get_session().create_client('sqs') as sqs:\n{indented}\nasyncio.run(main())"
    )
    pod = ["deployment/local-emulators", "-c", "page"]
    return ["kubectl", "-n", home.name, "exec", *pod, "--", "python", "-c", program]


def waits_of(depths: Sequence[dict[str, float]], tasks: int) -> list[float]:
    """When the first, the second, ... task was no longer waiting: all of them came at 0."""
    waits: list[float] = []
    for depth in depths:
        begun = tasks - int(depth["visible"])
        waits += [depth["at"]] * (begun - len(waits))
    return waits


def handed_back(depths: Sequence[dict[str, float]]) -> int:
    """Tasks that waited again, after they had been begun."""
    waiting = [int(depth["visible"]) for depth in depths]
    return sum(max(0, later - earlier) for earlier, later in pairwise(waiting))


def _watch(place: Namespace, release: str, deployment: str) -> Pods:
    """Until the Deployment has grown, shrunk to nothing, and no pod is left."""
    seen = Pods()
    looked_at = began = time.monotonic()
    while time.monotonic() - began < LONGEST_SECONDS:
        time.sleep(LOOK_EVERY_SECONDS)
        replicas = place.get("deployment", deployment)["spec"]["replicas"]
        running = place.of_component(release, "processor")
        now = time.monotonic()
        seen.pod_seconds += len(running) * (now - looked_at)
        looked_at = now
        if not seen.sizes or seen.sizes[-1] != replicas:
            seen.sizes.append(replicas)
        for pod in running:
            _note_ready(pod, seen)
        if len(seen.sizes) > 1 and not replicas and not running:
            return seen
    raise ClusterError(f"{deployment} is not at zero after {LONGEST_SECONDS:g} s: {seen.sizes}")


def _note_ready(pod: dict[str, Any], seen: Pods) -> None:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            created, ready = pod["metadata"]["creationTimestamp"], condition["lastTransitionTime"]
            seconds = (datetime.fromisoformat(ready) - datetime.fromisoformat(created)).total_seconds()
            seen.ready_after.setdefault(pod["metadata"]["name"], seconds)
