"""Faults of a running stage in the cluster, in AWS and in Momento: each is injected and then removed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.cluster.operator_on_cluster import KEY_PARAMETER, SERVICE, InstalledOperator
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
    """The stage into which faults are injected, and its operator."""

    operator: InstalledOperator
    saved: dict[str, Any] = field(default_factory=dict)
    """Values that the removal of the fault needs."""

    @property
    def namespace(self) -> Namespace:
        return self.operator.namespace

    def deploy(self, component: str) -> str:
        return f"deployment/{RELEASE}-{component}"

    def pod(self, component: str) -> str:
        """The name of one."""
        return str(self.namespace.of_component(RELEASE, component)[0]["metadata"]["name"])

    def has_all_pods_ready(self) -> bool:
        """Whether every pod is ready and no old pod is left."""
        pods = self.namespace.pods(SELECTOR)
        return all(ready(pod) for pod in pods) and len(pods) == sum(REPLICAS.values())

    def upgrade(self) -> None:
        """Upgrade as the message of the condition says."""
        self.namespace.helm("upgrade", RELEASE, str(STAGE_CHART), "--reuse-values")

    def send_tasks(self, count: int) -> None:
        url = self.namespace.get("stage", RELEASE)["status"]["resources"]["queueUrl"]
        body = json.dumps({"userId": "user", "payload": json.dumps({"data": "x"})})
        self.operator.aws(
            f"for number in range({count}):\n"
            f"    name = {{'DataType': 'String', 'StringValue': 'task-{{}}'.format(number)}}\n"
            f"    await sqs.send_message(QueueUrl={url!r}, MessageBody={body!r}, MessageAttributes={{'taskId': name}})"
        )

    def purge(self) -> None:
        url = self.namespace.get("stage", RELEASE)["status"]["resources"]["queueUrl"]
        self.operator.aws(f"await sqs.purge_queue(QueueUrl={url!r})")

    def parameter(self, value: str | None) -> str:
        """Set the parameter of the Momento key, or delete it, and return its old value."""
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
            f"request = urllib.request.Request('http://127.0.0.1:{self.operator.ports.momento_web}/_emulator/{path}',\n"
            f"    data=data, method={method!r}, headers={{'x-emulator-admin': '1'}})\n"
            "print(urllib.request.urlopen(request, timeout=10).read().decode() or '{}')"
        )
        return dict(json.loads(answer))

    def key_ids(self) -> list[str]:
        code = "import json; print(json.dumps(json.load(open('/state/momento.json'))['keyIds']))"
        return list(json.loads(self._emulators(code)))

    def _emulators(self, code: str) -> str:
        return self.operator.home.kubectl(
            "exec", "deployment/local-emulators", "-c", "page", "--", "python", "-c", code
        )


Step = Callable[[Broken], None]


def nothing(_broken: Broken) -> None:
    """There is nothing to do."""


@dataclass(frozen=True)
class Fault:
    """A row of the table. The 15 seconds count from the return of `begins`, and of `ends`."""

    name: str
    begins: Step
    ends: Step
    ready: tuple[str, str]
    """Status and reason."""
    degraded: str
    """Its reason; empty where no problem is reported."""
    part: str = ""
    """Of its message."""
    scaling: tuple[str, str] = ("True", "Operating")
    """Status and reason. Replicas are held only where more processors are desired than exist."""


def break_one_of_two_pods(broken: Broken) -> None:
    name = broken.pod("ingest")
    broken.saved["pod"] = name
    broken.namespace.kubectl("set", "image", f"pod/{name}", f"ingest={NO_IMAGE}")


def replace_pod(broken: Broken) -> None:
    broken.namespace.kubectl("delete", "pod", broken.saved["pod"], "--grace-period=1")
    wait_until_sync(broken.has_all_pods_ready, "the pod replaced")


def set_missing_image(broken: Broken) -> None:
    broken.namespace.kubectl("set", "image", broken.deploy("token"), f"token={NO_IMAGE}")


def restore_image(broken: Broken) -> None:
    broken.namespace.kubectl("rollout", "undo", broken.deploy("token"))
    wait_until_sync(broken.has_all_pods_ready, "the old image")


def delete_parameter(broken: Broken) -> None:
    broken.saved["key"] = broken.parameter(None)
    for pod in broken.namespace.of_component(RELEASE, "token"):
        broken.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=1", "--wait=false")
    wait_until_sync(
        lambda: all(_runs(pod) for pod in broken.namespace.of_component(RELEASE, "token")), "new pods of token run"
    )


def _runs(pod: Object) -> bool:
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    return not ready(pod) and bool(containers[0].get("started"))


def restore_parameter(broken: Broken) -> None:
    broken.parameter(broken.saved["key"])


def revoke_key(broken: Broken) -> None:
    for key_id in broken.key_ids():
        broken.momento("DELETE", f"keys/{key_id}")


def set_new_key(broken: Broken) -> None:
    broken.parameter(str(broken.momento("POST", "keys", {})["v1"]))


def refuse_aws_connections(broken: Broken) -> None:
    """Connections are refused: the Service has no endpoints, and those that exist end with the emulator's process."""
    patch = '{"spec":{"selector":{"unplugged":"yes"}}}'
    broken.operator.home.kubectl("patch", "service", SERVICE, "-p", patch)
    _end_aws_connections(broken)


def restore_aws(broken: Broken) -> None:
    broken.operator.plug_in_aws()


def drop_aws_packets(broken: Broken) -> None:
    """Nothing answers: packets to the emulated AWS are dropped."""
    policy = broken.operator.home.get("networkpolicy", "local-emulators")["spec"]["ingress"]
    broken.saved["policy"] = policy
    aws = broken.operator.ports.aws
    ports = [port for port in policy[0]["ports"] if port["port"] != aws]
    _allow(broken, [{**policy[0], "ports": ports}])
    _end_aws_connections(broken)


def allow_aws(broken: Broken) -> None:
    _allow(broken, broken.saved["policy"])


def _allow(broken: Broken, ingress: list[Object]) -> None:
    patch = json.dumps({"spec": {"ingress": ingress}})
    broken.operator.home.kubectl("patch", "networkpolicy", "local-emulators", "--type=merge", "-p", patch)


def _end_aws_connections(broken: Broken) -> None:
    """Its state outlives the container."""
    broken.operator.home.kubectl(
        "exec", "deployment/local-emulators", "-c", "aws", "--", "python", "-c", "import os; os.kill(1, 15)"
    )


def set_failing_handler(broken: Broken) -> None:
    broken.namespace.kubectl("set", "env", broken.deploy("processor"), "TASK_HANDLER=json:loads")
    broken.namespace.kubectl("rollout", "status", broken.deploy("processor"), "--timeout=90s")
    wait_until_sync(broken.has_all_pods_ready, "only the processor that fails")
    broken.send_tasks(5)


def restore_handler(broken: Broken) -> None:
    broken.purge()
    broken.namespace.kubectl("set", "env", broken.deploy("processor"), "TASK_HANDLER-")
    wait_until_sync(broken.has_all_pods_ready, "only the processor that works")


def lower_momento_quota(broken: Broken) -> None:
    broken.momento("PATCH", "settings", TIGHT)
    broken.send_tasks(2)


def restore_momento_quota(broken: Broken) -> None:
    broken.momento("PATCH", "settings", LOOSE)


def add_pod_quota(broken: Broken) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": str(sum(REPLICAS.values()) - 1)}},
    }
    broken.namespace.apply(quota)
    broken.namespace.kubectl("delete", "pod", broken.pod("token"), "--grace-period=1")


def delete_pod_quota(broken: Broken) -> None:
    broken.namespace.kubectl("delete", "resourcequota", "small")
    # Kubernetes retries with growing pauses, but a change of the Deployment at once.
    broken.namespace.kubectl("rollout", "restart", broken.deploy("token"))
    wait_until_sync(broken.has_all_pods_ready, "both pods of token")


def delete_object(what: str) -> Step:
    def delete(broken: Broken) -> None:
        broken.namespace.kubectl("delete", what)

    return delete


def upgrade_release(broken: Broken) -> None:
    broken.upgrade()
    wait_until_sync(broken.has_all_pods_ready, "all pods of the release")


def wait_for_outputs(broken: Broken) -> None:
    wait_until_sync(
        lambda: broken.namespace.kubectl("get", "configmap", f"{RELEASE}-outputs", "--ignore-not-found"),
        "the outputs",
        timeout_seconds=15,
    )


def wait_for_corrected_outputs(broken: Broken) -> None:
    wait_until_sync(
        lambda: "sick-tasks" in broken.namespace.get("configmap", f"{RELEASE}-outputs")["data"]["TASK_QUEUE_URL"],
        "the outputs",
        timeout_seconds=15,
    )


def change_outputs(broken: Broken) -> None:
    patch = '{"data":{"TASK_QUEUE_URL":"http://elsewhere/queue"}}'
    broken.namespace.kubectl("patch", "configmap", f"{RELEASE}-outputs", "--type=merge", "-p", patch)


def events(namespace: Namespace) -> dict[str, tuple[str, str]]:
    """Reason and message of each Event of a Stage, by the Event's name. Names are random, so their order is too."""
    found = run("kubectl", "-n", namespace.name, "get", "events", "-o", "json")
    return {
        each["metadata"]["name"]: (each["reason"], each["message"])
        for each in json.loads(found)["items"]
        if each["involvedObject"]["kind"] == "Stage"
    }


TOKEN, INGEST = f"{RELEASE}-token", f"{RELEASE}-ingest"
HEALTHY = ("True", "Ready")
FAULTS = (
    Fault(
        "one of two pods fails",
        break_one_of_two_pods,
        replace_pod,
        HEALTHY,
        "ImagePullFailed",
        f"{INGEST}: 1 of 2 pods ready: ImagePullBackOff {NO_IMAGE}",
    ),
    Fault("no image", set_missing_image, restore_image, HEALTHY, "ImagePullFailed", f"ImagePullBackOff {NO_IMAGE}"),
    Fault(
        "no parameter",
        delete_parameter,
        restore_parameter,
        ("False", "WaitingForPods"),
        "ParameterMissing",
        f"{TOKEN}: 0 of 2 pods ready: the parameter {KEY_PARAMETER} cannot be read: ParameterNotFound",
    ),
    Fault(
        "key revoked",
        revoke_key,
        set_new_key,
        ("False", "MomentoKeyRefused"),
        "MomentoKeyRefused",
        f"{TOKEN}: Momento refused the API key (parameter {KEY_PARAMETER})",
    ),
    Fault(
        "SQS refuses connections",
        refuse_aws_connections,
        restore_aws,
        ("False", "QueueUnreachable"),
        "QueueUnreachable",
        scaling=("False", "MetricsUnreadable"),
    ),
    Fault(
        "SQS does not answer",
        drop_aws_packets,
        allow_aws,
        ("False", "QueueUnreachable"),
        "QueueUnreachable",
        scaling=("False", "MetricsUnreadable"),
    ),
    Fault(
        "every handler fails",
        set_failing_handler,
        restore_handler,
        HEALTHY,
        "TasksFailing",
        "every task fails, the last with TypeError",
    ),
    Fault(
        "Momento's quota used up",
        lower_momento_quota,
        restore_momento_quota,
        ("False", "MomentoQuotaExceeded"),
        "MomentoQuotaExceeded",
        "a quota of the Momento account is exceeded",
    ),
    Fault(
        "ResourceQuota used up",
        add_pod_quota,
        delete_pod_quota,
        HEALTHY,
        "QuotaExceeded",
        f"{TOKEN}: 1 of 2 pods ready: exceeded quota: small",
    ),
    Fault(
        "Deployment deleted",
        delete_object(f"deployment/{INGEST}"),
        upgrade_release,
        ("False", "ObjectMissing"),
        "ObjectMissing",
        f"Deployment {INGEST} does not exist; to restore: helm upgrade {RELEASE} <chart>",
    ),
    Fault(
        "Service deleted",
        delete_object(f"service/{TOKEN}"),
        upgrade_release,
        ("False", "ObjectMissing"),
        "ObjectMissing",
        f"Service {TOKEN} does not exist; to restore: helm upgrade {RELEASE} <chart>",
    ),
    Fault(
        "ServiceAccount deleted",
        delete_object(f"serviceaccount/{TOKEN}"),
        upgrade_release,
        HEALTHY,
        "ObjectMissing",
        f"ServiceAccount {TOKEN} does not exist",
    ),
    Fault("outputs deleted", delete_object(f"configmap/{RELEASE}-outputs"), wait_for_outputs, HEALTHY, ""),
    Fault("outputs changed", change_outputs, wait_for_corrected_outputs, HEALTHY, ""),
)
