"""Sends a burst through one stage of a real cluster, and polls it until every task has ended and no pod is left."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from benchmarks.scaling.simulator.results import Summary, quantile
from tests.support.cluster.operator_on_cluster import InstalledOperator
from tests.support.cluster.tools import ClusterError, Namespace, wait_until_sync

OBJECTIVE_SECONDS = 10.0
POLL_INTERVAL_SECONDS = 1.0
MAX_SECONDS = 900.0
"""KEDA removes the last pod some ten minutes after the last task."""
_SENDER = """
import time, uuid
queue = {queue!r}
tasks, max_seconds = {tasks}, {max_seconds}
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
while time.monotonic() - sent < max_seconds:
    counts = (await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names))["Attributes"]
    visible, in_flight = (int(counts[name]) for name in names)
    print(json.dumps({{"at": time.monotonic() - sent, "visible": visible, "in_flight": in_flight}}), flush=True)
    if not visible and not in_flight:
        break
    await asyncio.sleep(0.5)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """The tasks that are sent, and the processor that runs them."""

    tasks: int = 500
    task_seconds: float = 5.0
    slots: int = 10
    max_replicas: int = 8


@dataclass(slots=True)
class PodRecord:
    """What was recorded of the pods."""

    pod_seconds: float = 0.0
    ready_after: dict[str, float] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    """The Deployment's replicas, at each change."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a burst."""

    summary: Summary
    pod_ready_seconds: float
    seconds_to_send: float

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self.summary), "pod_ready_seconds": self.pod_ready_seconds}


def run_burst(operator: InstalledOperator, namespace: Namespace, release: str, burst: Burst) -> Measured:
    """Scale to zero, send the burst, poll until the end."""
    deployment = f"{release}-processor"
    namespace.kubectl("scale", "deployment", deployment, "--replicas=0")
    wait_until_sync(lambda: not namespace.of_component(release, "processor"), "no processor left", timeout_seconds=180)
    queue = namespace.get("configmap", f"{release}-outputs")["data"]["TASK_QUEUE_URL"]
    code = _SENDER.format(queue=queue, tasks=burst.tasks, max_seconds=MAX_SECONDS)
    with subprocess.Popen(_in_cluster(operator.home, code), stdout=subprocess.PIPE, text=True) as sender:
        pods = _poll_pods(namespace, release, deployment)
        output, _ = sender.communicate(timeout=60)
    if sender.returncode:
        raise ClusterError("the burst could not be sent, or the queue not read; see above")
    first, *depths = [json.loads(line) for line in output.splitlines()]
    waits = waits_of(depths, burst.tasks)
    summary = Summary(
        p50_wait_s=quantile(waits, 0.5),
        p95_wait_s=quantile(waits, 0.95),
        max_wait_s=waits[-1],
        objective_kept=sum(wait <= OBJECTIVE_SECONDS for wait in waits) / len(waits),
        pod_seconds=pods.pod_seconds,
        changes=len(pods.sizes) - 1,
        interrupted=count_requeued(depths),
    )
    ready = list(pods.ready_after.values())
    return Measured(summary, sum(ready) / max(1, len(ready)), first["sent"])


def _in_cluster(home: Namespace, code: str) -> list[str]:
    """A command that runs statements with an SQS client `sqs` in the emulators' pod, close to the queue."""
    indented = "\n".join(" " * 8 + line for line in code.splitlines())
    program = (
        "import asyncio, json\nfrom aiobotocore.session import get_session\nasync def main():\n"
        f"    async with get_session().create_client('sqs') as sqs:\n{indented}\nasyncio.run(main())"
    )
    pod = ["deployment/local-emulators", "-c", "page"]
    return ["kubectl", "-n", home.name, "exec", *pod, "--", "python", "-c", program]


def waits_of(depths: Sequence[dict[str, float]], tasks: int) -> list[float]:
    """When the first, the second, … task started. All of them arrived at 0."""
    waits: list[float] = []
    for depth in depths:
        started = tasks - int(depth["visible"])
        waits += [depth["at"]] * (started - len(waits))
    return waits


def count_requeued(depths: Sequence[dict[str, float]]) -> int:
    """The number of tasks that waited again after they had started."""
    waiting = [int(depth["visible"]) for depth in depths]
    return sum(max(0, later - earlier) for earlier, later in pairwise(waiting))


def _poll_pods(namespace: Namespace, release: str, deployment: str) -> PodRecord:
    """Poll until the Deployment has been scaled out and in to zero, and no pod is left."""
    record = PodRecord()
    polled_at = began = time.monotonic()
    while time.monotonic() - began < MAX_SECONDS:
        time.sleep(POLL_INTERVAL_SECONDS)
        replicas = namespace.get("deployment", deployment)["spec"]["replicas"]
        running = namespace.of_component(release, "processor")
        now = time.monotonic()
        record.pod_seconds += len(running) * (now - polled_at)
        polled_at = now
        if not record.sizes or record.sizes[-1] != replicas:
            record.sizes.append(replicas)
        for pod in running:
            _record_ready(pod, record)
        if len(record.sizes) > 1 and not replicas and not running:
            return record
    raise ClusterError(f"{deployment} is not at zero after {MAX_SECONDS:g} s: {record.sizes}")


def _record_ready(pod: dict[str, Any], record: PodRecord) -> None:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            created, ready = pod["metadata"]["creationTimestamp"], condition["lastTransitionTime"]
            seconds = (datetime.fromisoformat(ready) - datetime.fromisoformat(created)).total_seconds()
            record.ready_after.setdefault(pod["metadata"]["name"], seconds)
