"""Faults of a running stage, made and mended from outside: what breaks in a cluster, in AWS and in Momento."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.cluster.operator_on_cluster import KEY_PARAMETER, SERVICE, OperatorWorld
from tests.support.cluster.tools import Namespace, ready, run, wait_until_sync
from tests.support.helm_charts import STAGE_CHART, Object

RELEASE = "sick"
NO_IMAGE = "localhost/notification-api:9.9.9"
SELECTOR = f"app.kubernetes.io/name=notification-api,app.kubernetes.io/instance={RELEASE}"
REPLICAS = {"token": 2, "ingest": 2, "processor": 1}
TIGHT: Object = {"topicOperationsPerSecond": 0.001, "cacheOperationsPerSecond": 0.001, "tokensPerSecond": 0.001}
LOOSE: Object = {"topicOperationsPerSecond": 5000, "cacheOperationsPerSecond": 5000, "tokensPerSecond": 5}


@dataclass
class Broken:
    """The stage that is broken, in its world."""

    world: OperatorWorld
    kept: dict[str, Any] = field(default_factory=dict)
    """What a mend needs."""

    @property
    def place(self) -> Namespace:
        return self.world.place

    def deploy(self, component: str) -> str:
        return f"deployment/{RELEASE}-{component}"

    def pod(self, component: str) -> str:
        """The name of one."""
        return str(self.place.of_component(RELEASE, component)[0]["metadata"]["name"])

    def is_whole(self) -> bool:
        """Whether every pod is ready and none is left over, so that what is to be seen is that all is well."""
        pods = self.place.pods(SELECTOR)
        return all(ready(pod) for pod in pods) and len(pods) == sum(REPLICAS.values())

    def upgrade(self) -> None:
        """As the conditions' message says."""
        self.place.helm("upgrade", RELEASE, str(STAGE_CHART), "--reuse-values")

    def send_tasks(self, count: int) -> None:
        url = self.place.get("stage", RELEASE)["status"]["resources"]["queueUrl"]
        body = json.dumps({"userId": "user", "payload": json.dumps({"data": "x"})})
        self.world.aws(
            f"for number in range({count}):\n"
            f"    name = {{'DataType': 'String', 'StringValue': 'task-{{}}'.format(number)}}\n"
            f"    await sqs.send_message(QueueUrl={url!r}, MessageBody={body!r}, MessageAttributes={{'taskId': name}})"
        )

    def purge(self) -> None:
        url = self.place.get("stage", RELEASE)["status"]["resources"]["queueUrl"]
        self.world.aws(f"await sqs.purge_queue(QueueUrl={url!r})")

    def parameter(self, value: str | None) -> str:
        """Put the Momento key's parameter, or delete it; what it was."""
        change = (
            f"await ssm.put_parameter(Name=NAME, Value={value!r}, Type='SecureString', Overwrite=True)"
            if value is not None
            else "await ssm.delete_parameter(Name=NAME)"
        )
        return self._emulators(
            "import asyncio\nfrom aiobotocore.session import get_session\n"
            f"NAME = {KEY_PARAMETER!r}\n"
            "async def main():\n"
            "    async with get_session().create_client('ssm') as ssm:\n"
            "        try: print((await ssm.get_parameter(Name=NAME, WithDecryption=True))['Parameter']['Value'])\n"
            "        except ssm.exceptions.ParameterNotFound: print()\n"
            f"        {change}\n"
            "asyncio.run(main())"
        ).strip()

    def momento(self, method: str, path: str, body: Object | None = None) -> Object:
        """An admin call of the emulator."""
        answer = self._emulators(
            "import json, urllib.request\n"
            f"data = json.dumps({body!r}).encode() if {body!r} is not None else None\n"
            f"request = urllib.request.Request('http://127.0.0.1:{self.world.ports.momento_web}/_emulator/{path}',\n"
            f"    data=data, method={method!r}, headers={{'x-emulator-admin': '1'}})\n"
            "print(urllib.request.urlopen(request, timeout=10).read().decode() or '{}')"
        )
        return dict(json.loads(answer))

    def key_ids(self) -> list[str]:
        code = "import json; print(json.dumps(json.load(open('/state/momento.json'))['keyIds']))"
        return list(json.loads(self._emulators(code)))

    def _emulators(self, code: str) -> str:
        return self.world.home.kubectl("exec", "deployment/local-emulators", "-c", "page", "--", "python", "-c", code)


Step = Callable[[Broken], None]


def nothing(_broken: Broken) -> None:
    """There is nothing to do."""


@dataclass(frozen=True)
class Fault:
    """A row of the table. The 15 seconds count from the end of `begins`, and from that of `ends`."""

    name: str
    begins: Step
    ends: Step
    ready: tuple[str, str]
    """Status and reason."""
    degraded: str
    """Its reason; empty where nothing is to be said."""
    part: str = ""
    """Of its message."""
    scaling: tuple[str, str] = ("True", "Operating")
    """Status and reason. It is held only where more processors would be wanted than there are."""


def one_pod_of_two(broken: Broken) -> None:
    name = broken.pod("ingest")
    broken.kept["pod"] = name
    broken.place.kubectl("set", "image", f"pod/{name}", f"ingest={NO_IMAGE}")
    # Until then it alternates with CrashLoopBackOff: Kubernetes counts the end of the old container as a crash.
    wait_until_sync(
        lambda: "ImagePullBackOff" in broken.place.kubectl("get", "pod", name), "Kubernetes has tried the image twice"
    )


def replace_the_pod(broken: Broken) -> None:
    broken.place.kubectl("delete", "pod", broken.kept["pod"], "--grace-period=1")
    wait_until_sync(broken.is_whole, "the pod replaced")


def no_image(broken: Broken) -> None:
    broken.place.kubectl("set", "image", broken.deploy("token"), f"token={NO_IMAGE}")


def image_again(broken: Broken) -> None:
    broken.place.kubectl("rollout", "undo", broken.deploy("token"))
    wait_until_sync(broken.is_whole, "the old image again")


def no_parameter(broken: Broken) -> None:
    broken.kept["key"] = broken.parameter(None)
    for pod in broken.place.of_component(RELEASE, "token"):
        broken.place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=1", "--wait=false")
    wait_until_sync(
        lambda: all(_runs(pod) for pod in broken.place.of_component(RELEASE, "token")), "new pods of token run"
    )


def _runs(pod: Object) -> bool:
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    return not ready(pod) and bool(containers[0].get("started"))


def parameter_again(broken: Broken) -> None:
    broken.parameter(broken.kept["key"])


def revoke_the_key(broken: Broken) -> None:
    for key_id in broken.key_ids():
        broken.momento("DELETE", f"keys/{key_id}")


def another_key(broken: Broken) -> None:
    broken.parameter(str(broken.momento("POST", "keys", {})["v1"]))


def no_aws(broken: Broken) -> None:
    """Connections are refused: the Service has no endpoints, and those that exist end with the emulator's process."""
    patch = '{"spec":{"selector":{"unplugged":"yes"}}}'
    broken.world.home.kubectl("patch", "service", SERVICE, "-p", patch)
    _end_aws_connections(broken)


def aws_again(broken: Broken) -> None:
    broken.world.plug_in_aws()


def silent_aws(broken: Broken) -> None:
    """Nothing answers: packets to the emulated AWS are dropped."""
    policy = broken.world.home.get("networkpolicy", "local-emulators")["spec"]["ingress"]
    broken.kept["policy"] = policy
    aws = broken.world.ports.aws
    ports = [port for port in policy[0]["ports"] if port["port"] != aws]
    _allow(broken, [{**policy[0], "ports": ports}])
    _end_aws_connections(broken)


def aws_answers(broken: Broken) -> None:
    _allow(broken, broken.kept["policy"])


def _allow(broken: Broken, ingress: list[Object]) -> None:
    patch = json.dumps({"spec": {"ingress": ingress}})
    broken.world.home.kubectl("patch", "networkpolicy", "local-emulators", "--type=merge", "-p", patch)


def _end_aws_connections(broken: Broken) -> None:
    """Its state outlives the container."""
    broken.world.home.kubectl(
        "exec", "deployment/local-emulators", "-c", "aws", "--", "python", "-c", "import os; os.kill(1, 15)"
    )


def every_handler_fails(broken: Broken) -> None:
    broken.place.kubectl("set", "env", broken.deploy("processor"), "TASK_HANDLER=json:loads")
    broken.place.kubectl("rollout", "status", broken.deploy("processor"), "--timeout=90s")
    wait_until_sync(broken.is_whole, "the processor that fails alone")
    broken.send_tasks(5)


def handlers_work(broken: Broken) -> None:
    broken.purge()
    broken.place.kubectl("set", "env", broken.deploy("processor"), "TASK_HANDLER-")
    wait_until_sync(broken.is_whole, "the processor that works alone")


def no_momento_quota(broken: Broken) -> None:
    broken.momento("PATCH", "settings", TIGHT)
    broken.send_tasks(2)


def momento_quota_again(broken: Broken) -> None:
    broken.momento("PATCH", "settings", LOOSE)


def no_pod_quota(broken: Broken) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": str(sum(REPLICAS.values()) - 1)}},
    }
    broken.place.apply(quota)
    broken.place.kubectl("delete", "pod", broken.pod("token"), "--grace-period=1")


def pod_quota_again(broken: Broken) -> None:
    broken.place.kubectl("delete", "resourcequota", "small")
    # Kubernetes tries again after a while that doubles; a change of the Deployment is tried at once.
    broken.place.kubectl("rollout", "restart", broken.deploy("token"))
    wait_until_sync(broken.is_whole, "both pods of token")


def deleted(what: str) -> Step:
    def delete(broken: Broken) -> None:
        broken.place.kubectl("delete", what)

    return delete


def upgraded(broken: Broken) -> None:
    broken.upgrade()
    wait_until_sync(broken.is_whole, "all pods of the release")


def outputs_are_there(broken: Broken) -> None:
    wait_until_sync(
        lambda: broken.place.kubectl("get", "configmap", f"{RELEASE}-outputs", "--ignore-not-found"),
        "the outputs",
        timeout_seconds=15,
    )


def outputs_are_right(broken: Broken) -> None:
    wait_until_sync(
        lambda: "sick-tasks" in broken.place.get("configmap", f"{RELEASE}-outputs")["data"]["TASK_QUEUE_URL"],
        "the outputs",
        timeout_seconds=15,
    )


def change_the_outputs(broken: Broken) -> None:
    patch = '{"data":{"TASK_QUEUE_URL":"http://elsewhere/queue"}}'
    broken.place.kubectl("patch", "configmap", f"{RELEASE}-outputs", "--type=merge", "-p", patch)


def events(place: Namespace) -> list[tuple[str, str]]:
    found = run("kubectl", "-n", place.name, "get", "events", "-o", "json")
    return [
        (each["reason"], each["message"])
        for each in json.loads(found)["items"]
        if each["involvedObject"]["kind"] == "Stage"
    ]


TOKEN, INGEST = f"{RELEASE}-token", f"{RELEASE}-ingest"
WELL = ("True", "Ready")
FAULTS = (
    Fault(
        "one pod of two gone",
        one_pod_of_two,
        replace_the_pod,
        WELL,
        "ImagePullFailed",
        f"{INGEST}: 1 of 2 pods ready: ImagePullBackOff {NO_IMAGE}",
    ),
    Fault("no image", no_image, image_again, WELL, "ImagePullFailed", f"ImagePullBackOff {NO_IMAGE}"),
    Fault(
        "no parameter",
        no_parameter,
        parameter_again,
        ("False", "WaitingForPods"),
        "ParameterMissing",
        f"{TOKEN}: 0 of 2 pods ready: the parameter {KEY_PARAMETER} cannot be read: ParameterNotFound",
    ),
    Fault(
        "key revoked",
        revoke_the_key,
        another_key,
        ("False", "MomentoKeyRefused"),
        "MomentoKeyRefused",
        f"{TOKEN}: Momento refused the API key (parameter {KEY_PARAMETER})",
    ),
    Fault(
        "SQS refuses connections",
        no_aws,
        aws_again,
        ("False", "QueueUnreachable"),
        "QueueUnreachable",
        scaling=("False", "MetricsUnreadable"),
    ),
    Fault(
        "SQS does not answer",
        silent_aws,
        aws_answers,
        ("False", "QueueUnreachable"),
        "QueueUnreachable",
        scaling=("False", "MetricsUnreadable"),
    ),
    Fault(
        "every handler fails",
        every_handler_fails,
        handlers_work,
        WELL,
        "TasksFailing",
        "every task fails, the last with TypeError",
    ),
    Fault(
        "Momento's quota used up",
        no_momento_quota,
        momento_quota_again,
        ("False", "MomentoQuotaExceeded"),
        "MomentoQuotaExceeded",
        "a quota of the Momento account is used up",
    ),
    Fault(
        "ResourceQuota used up",
        no_pod_quota,
        pod_quota_again,
        WELL,
        "QuotaExceeded",
        f"{TOKEN}: 1 of 2 pods ready: exceeded quota: small",
    ),
    Fault(
        "Deployment deleted",
        deleted(f"deployment/{INGEST}"),
        upgraded,
        ("False", "ObjectMissing"),
        "ObjectMissing",
        f"Deployment {INGEST} does not exist; to restore: helm upgrade {RELEASE} <chart>",
    ),
    Fault(
        "Service deleted",
        deleted(f"service/{TOKEN}"),
        upgraded,
        ("False", "ObjectMissing"),
        "ObjectMissing",
        f"Service {TOKEN} does not exist; to restore: helm upgrade {RELEASE} <chart>",
    ),
    Fault(
        "ServiceAccount deleted",
        deleted(f"serviceaccount/{TOKEN}"),
        upgraded,
        WELL,
        "ObjectMissing",
        f"ServiceAccount {TOKEN} does not exist",
    ),
    Fault("outputs deleted", deleted(f"configmap/{RELEASE}-outputs"), outputs_are_there, WELL, ""),
    Fault("outputs changed", change_the_outputs, outputs_are_right, WELL, ""),
)
