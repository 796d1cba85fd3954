"""Upgrade and rollback under load: no request is refused, and every accepted task is notified exactly once."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from tests.support.cluster.stages import InstalledStages
from tests.support.cluster.tools import IMAGE, IMAGE_TAG, Namespace, read_text, ready, wait_until_sync
from tests.support.cluster.user import application_of, new_user
from tests.support.helm_charts import Object
from tests.support.momento.subscriber import Subscriber, subscriber, topic_access

QUIET_SECONDS = 20.0


def load_objects(id_token: str) -> list[Object]:
    """A pod that meets the restricted profile, with the script and the token that it needs."""
    container: Object = {
        "name": "load",
        "image": f"{IMAGE}:{IMAGE_TAG}",
        "command": ["python", "/script/load.py"],
        "env": [{"name": "TOKEN_URL", "value": "http://one-token"}, {"name": "TASK_URL", "value": "http://one-ingest"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": name, "mountPath": path}
            for name, path in (("script", "/script"), ("user", "/run/user"), ("control", "/control"))
        ],
    }
    spec: Object = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [
            {"name": "script", "configMap": {"name": "load"}},
            {"name": "user", "secret": {"secretName": "load"}},
            {"name": "control", "emptyDir": {}},
        ],
    }
    meta = {"name": "load"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"load.py": read_text("load.py")}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": id_token}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec},
    ]


def start_load(namespace: Namespace, id_token: str) -> None:
    namespace.apply(*load_objects(id_token))
    wait_until_sync(lambda: ready(namespace.get("pod", "load")), "the load's pod")


def stop_load(namespace: Namespace) -> Any:
    namespace.python("load", "open('/control/stop', 'w').close()")
    wait_until_sync(lambda: namespace.get("pod", "load")["status"]["phase"] != "Running", "the load's end")
    summary = json.loads(namespace.kubectl("logs", "load"))
    namespace.kubectl("delete", "pod/load", "secret/load", "configmap/load")
    return summary


def pods_of(namespace: Namespace) -> set[str]:
    return {
        pod["metadata"]["name"]
        for component in ("token", "ingest", "processor")
        for pod in namespace.of_component("one", component)
    }


def revision_settings(namespace: Namespace) -> str:
    level: str = namespace.get("configmap", "one-ingest")["data"].get("LOG_LEVEL", "")
    return level


async def received_task_ids(notifications: Subscriber, count: int) -> list[str]:
    """The task ids of all final notifications, until `count` have arrived or none arrives for a while."""
    ids = [str((await notifications.next(QUIET_SECONDS))["taskId"]) for _ in range(count)]
    assert await notifications.nothing_for(1.5), "a task was notified twice"
    return ids


@pytest.mark.timeout(240)
async def test_an_upgrade_and_a_rollback_lose_no_task_and_refuse_no_request(stages: InstalledStages) -> None:
    namespace = stages.namespace
    async with application_of(stages) as app:
        user = await new_user(app, await app.config())
        access = await topic_access(user.config, user.id_token)
    before = await asyncio.to_thread(pods_of, namespace)
    async with subscriber(access) as notifications:
        await asyncio.to_thread(start_load, namespace, user.id_token)
        chart, waited = "charts/notification-api", ("--wait", "--timeout", "120s")
        options = ("--reuse-values", "--set", "logLevel=INFO")
        await asyncio.to_thread(namespace.helm, "upgrade", "one", chart, *options, *waited)
        upgraded = await asyncio.to_thread(pods_of, namespace)
        assert await asyncio.to_thread(revision_settings, namespace) == "INFO"
        await asyncio.to_thread(namespace.helm, "rollback", "one", *waited)
        assert await asyncio.to_thread(revision_settings, namespace) == ""
        summary = await asyncio.to_thread(stop_load, namespace)
        ids = await received_task_ids(notifications, len(summary["taskIds"]))
    assert summary["statuses"].keys() == {"POST 202", "GET 200"}, summary["statuses"]
    assert summary["statuses"]["POST 202"] == len(summary["taskIds"]) > 50
    assert Counter(ids) == Counter(summary["taskIds"])
    assert upgraded - before, "the changed setting rolled nothing"
