"""From sign-up to notification on a real cluster, through `make forward`, with the public SDKs."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from local.demo.sign_up import Application
from local.plan import ROOT
from notification_api.client import ServiceError
from notification_api.client.errors import SubscriptionRefusedError
from tests.support.cluster.stages import InstalledStages, port_forward
from tests.support.cluster.tools import run
from tests.support.cluster.user import User, application_of, new_user, status_of
from tests.support.helm_charts import Object
from tests.support.momento.subscriber import subscriber, topic_access


@pytest.fixture
async def app(stages: InstalledStages) -> AsyncIterator[Application]:
    async with application_of(stages) as app:
        yield app


def test_the_local_demonstration_runs_against_the_cluster(stages: InstalledStages) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={**os.environ, "LOCAL_PORT_BASE": str(stages.ports.base), "N": "5"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 tasks, 5 notifications" in done.stdout
    assert re.search(r"^GET /task/\S+: cancelled ", done.stdout, re.MULTILINE)


async def test_helm_test_checks_a_users_notification(stages: InstalledStages, app: Application) -> None:
    user = await new_user(app, await app.config())
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "test-user"},
        "stringData": {"email": user.credentials.email, "password": user.credentials.password},
    }
    namespace = stages.namespace
    await asyncio.to_thread(namespace.apply, secret)
    values = {"tests": {"userSecret": "test-user"}}
    await asyncio.to_thread(
        namespace.helm, "upgrade", "one", "charts/notification-api", "--reuse-values", values=values
    )
    said = await asyncio.to_thread(helm_test, stages, "one")
    for line in ("signed in", "subscribed", "notified: finished", "all checks passed"):
        assert line in said
    assert "Phase:          Succeeded" in said


def test_helm_test_checks_reachability_without_a_user(stages: InstalledStages) -> None:
    said = helm_test(stages, "two")
    assert "no user is configured" in said
    assert "all checks passed" in said


def helm_test(stages: InstalledStages, release: str) -> str:
    command = ["helm", "test", release, "-n", stages.namespace.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_a_running_task_is_followed_by_its_location_and_cancelled(
    stages: InstalledStages, app: Application
) -> None:
    user = await new_user(app, await app.config())
    headers = {"Authorization": f"Bearer {user.id_token}"}
    body = {"data": {"steps": 120}, "type": "steps"}
    async with app.http.post(f"{user.config.api_url}/task", json=body, headers=headers) as answer:
        assert answer.status == 202
        task_id, location = (await answer.json())["taskId"], answer.headers["Location"]
    assert location == f"/task/{task_id}"

    running = await followed(user, location, "running")  # known when it has run for some seconds
    assert running["progress"]["message"].endswith(" of 120")
    async with user.api() as api:
        assert (await api.cancel(task_id)).status == "running"
        started_at = time.monotonic()
        cancelled = await followed(user, location, "cancelled")
        assert time.monotonic() - started_at < 10
        assert cancelled["message"] == 'Cancelled task: {"steps": 120}'
        with pytest.raises(ServiceError) as refused:
            await api.cancel(task_id)
        assert refused.value.status == 409


async def test_a_large_result_is_read_by_its_task(stages: InstalledStages, app: Application) -> None:
    user = await new_user(app, await app.config())
    async with user.api() as api:
        task = await api.submit("large", {"kibibytes": 100})
        assert (await followed(user, f"/task/{task.id}", "finished"))["truncated"] is True
        assert len((await task.result()).data["text"]) == 102_400


async def followed(user: User, location: str, status: str) -> dict[str, Any]:
    """Follow a task, as often as `Retry-After` permits, until it has this status."""
    headers = {"Authorization": f"Bearer {user.id_token}"}
    async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(40):
        while True:
            async with http.get(f"{user.config.api_url}{location}") as answer:
                task: dict[str, Any] = await answer.json()
                if task["status"] == status:
                    return task
                pause = float(answer.headers["Retry-After"])
            await asyncio.sleep(pause)


async def test_a_type_that_the_stage_does_not_have_is_refused(stages: InstalledStages, app: Application) -> None:
    with (
        port_forward(stages.namespace, "svc/two-token", 80) as token,
        port_forward(stages.namespace, "svc/two-ingest", 80) as ingest,
    ):
        user = await new_user(app, stages.config("two", token))
        async with user.api(ingest) as api:
            assert (await api.submit("steps", {"steps": 1})).id
            with pytest.raises(ServiceError, match="Set `type` to one of: default, steps") as refused:
                await api.submit("report", "x")
        assert refused.value.status == 400


async def test_a_stage_refuses_users_of_another_stage(stages: InstalledStages, app: Application) -> None:
    with port_forward(stages.namespace, "svc/two-token", 80) as token:
        config_two = stages.config("two", token)
        one, two = await new_user(app, await app.config()), await new_user(app, config_two)
        assert await status_of(f"{one.config.api_url}/token", one.id_token) == 200
        assert await status_of(f"{config_two.api_url}/token", two.id_token) == 200
        assert await status_of(f"{config_two.api_url}/token", one.id_token) == 401
        assert await status_of(f"{one.config.api_url}/token", two.id_token) == 401


async def test_a_stage_cannot_read_notifications_of_another_stage(stages: InstalledStages, app: Application) -> None:
    with (
        port_forward(stages.namespace, "svc/two-token", 80) as token,
        port_forward(stages.namespace, "svc/two-ingest", 80) as ingest,
    ):
        config_two = stages.config("two", token)
        one, two = await new_user(app, await app.config()), await new_user(app, config_two)
        access_one, access_two = [await topic_access(each.config, each.id_token) for each in (one, two)]
        assert access_one.cache_name != access_two.cache_name
        for own, other in ((access_one, access_two), (access_two, access_one)):
            with pytest.raises(SubscriptionRefusedError):
                async with subscriber(replace(other, credential=own.credential)):
                    pass
        async with subscriber(access_one) as at_one, subscriber(access_two) as at_two, two.api(ingest) as api:
            posted = await api.submit("default", "for two alone")
            assert (await at_two.next(30))["taskId"] == posted.id
            assert await at_one.nothing_for(1.0)


async def test_forwarded_ports_answer_during_a_rollout(stages: InstalledStages) -> None:
    namespace, url = stages.namespace, f"http://localhost:{stages.ports.token}/token"
    await asyncio.to_thread(namespace.kubectl, "rollout", "restart", "deployment/one-token")
    waiting = ("rollout", "status", "deployment/one-token")
    rollout = asyncio.create_task(asyncio.to_thread(namespace.kubectl, *waiting))
    statuses: list[int] = []
    while not rollout.done() or len(statuses) < 20:
        statuses.append(await status_of(url, "nobody"))
    await rollout
    assert set(statuses) == {401}


def test_pods_of_a_stage_have_no_secret_in_their_environment(stages: InstalledStages) -> None:
    namespace = stages.namespace
    key = parameter(stages)
    for component in ("token", "ingest", "processor"):
        pod = namespace.of_component("one", component)[0]["metadata"]["name"]
        environment = json.loads(namespace.python(pod, "import json, os; print(json.dumps(dict(os.environ)))"))
        assert not [
            name for name, value in environment.items() if key in value or (value[:20] in key and len(value) >= 20)
        ]


def parameter(stages: InstalledStages) -> str:
    """The Momento key, as the token service reads it."""
    code = (
        "import asyncio\n"
        "from services.common.aws.clients import ssm_client\n"
        "async def main():\n"
        "  async with ssm_client() as ssm:\n"
        "    got = await ssm.get_parameter(Name='/notification-api/one/momento-api-key', WithDecryption=True)\n"
        "    print(got['Parameter']['Value'])\n"
        "asyncio.run(main())"
    )
    pod = stages.namespace.of_component("one", "token")[0]["metadata"]["name"]
    key = stages.namespace.python(pod, code).strip()
    assert len(key) > 20
    return key


def test_make_forward_lists_the_existing_stages() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.forward", "nosuch"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "There is no stage nosuch in this cluster." in done.stderr
    assert run("kubectl", "version", "--client")
