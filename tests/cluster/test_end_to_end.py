"""From sign-up to news on a real cluster, through `make forward`, with the SDKs that everybody uses."""

import asyncio
import json
import os
import subprocess
import sys

from local.demo.config import ClientConfig
from local.plan import ROOT
from tests.support.cluster.stages import World, port_forward
from tests.support.cluster.tools import run
from tests.support.cluster.user import User, client, signed_in, status_of, subscription_refusal
from tests.support.helm_charts import Object
from tests.support.momento.subscriber import subscriber


async def user_of(world: World, config: ClientConfig | None = None) -> User:
    async with client(world) as calls:
        return await signed_in(calls, config or await calls.config())


def test_the_demonstration_of_the_laptop_runs_against_the_cluster(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={**os.environ, "LOCAL_PORT_BASE": str(world.ports.base), "N": "5"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 tasks, 5 pieces of news" in done.stdout


async def test_helm_test_does_the_whole_job_for_a_user(world: World) -> None:
    user = await user_of(world)
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "test-user"},
        "stringData": {"email": user.credentials.email, "password": user.credentials.password},
    }
    namespace = world.namespace
    await asyncio.to_thread(namespace.apply, secret)
    values = {"tests": {"userSecret": "test-user"}}
    await asyncio.to_thread(
        namespace.helm, "upgrade", "one", "charts/notification-api", "--reuse-values", values=values
    )
    said = await asyncio.to_thread(helm_test, world, "one")
    for line in ("signed in", "subscribed", "told: finished", "all is well"):
        assert line in said
    assert "Phase:          Succeeded" in said


def test_helm_test_checks_reachability_without_a_user(world: World) -> None:
    said = helm_test(world, "two")
    assert "no user was given" in said
    assert "all is well" in said


def helm_test(world: World, release: str) -> str:
    command = ["helm", "test", release, "-n", world.namespace.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_stages_side_by_side_do_not_let_each_others_users_in(world: World) -> None:
    with (
        port_forward(world.namespace, "svc/two-token", 80) as token,
        port_forward(world.namespace, "svc/two-ingest", 80) as ingest,
    ):
        config_two = world.config("two", token, ingest)
        one, two = await user_of(world), await user_of(world, config_two)
        assert await status_of(f"{one.config.token_url}/token", one.id_token) == 200
        assert await status_of(f"{config_two.token_url}/token", two.id_token) == 200
        assert await status_of(f"{config_two.token_url}/token", one.id_token) == 401
        assert await status_of(f"{one.config.token_url}/token", two.id_token) == 401


async def test_stages_side_by_side_cannot_read_each_others_news(world: World) -> None:
    with (
        port_forward(world.namespace, "svc/two-token", 80) as token,
        port_forward(world.namespace, "svc/two-ingest", 80) as ingest,
    ):
        config_two = world.config("two", token, ingest)
        one, two = await user_of(world), await user_of(world, config_two)
        async with client(world) as calls:
            access_one, access_two = [await calls.access(each.config, each.id_token) for each in (one, two)]
            assert access_one.cache_name != access_two.cache_name
            for token_of, place in ((access_one, access_two), (access_two, access_one)):
                borrowed = type(place)(token_of.token, place.cache_name, place.topic)
                assert "refused" in await asyncio.to_thread(subscription_refusal, borrowed)
            with subscriber(access_one, dict(os.environ)) as at_one, subscriber(access_two, dict(os.environ)) as at_two:
                posted = await calls.post_task(config_two, two.id_token, "for two alone")
                assert (await asyncio.to_thread(at_two.next, 30))["taskId"] == posted
                assert await asyncio.to_thread(at_one.nothing_for, 1.0)


async def test_forwarded_ports_answer_through_a_rollout(world: World) -> None:
    namespace, url = world.namespace, f"http://localhost:{world.ports.token}/token"
    await asyncio.to_thread(namespace.kubectl, "rollout", "restart", "deployment/one-token")
    waiting = ("rollout", "status", "deployment/one-token")
    rollout = asyncio.create_task(asyncio.to_thread(namespace.kubectl, *waiting))
    statuses: list[int] = []
    while not rollout.done() or len(statuses) < 20:
        statuses.append(await status_of(url, "nobody"))
    await rollout
    assert set(statuses) == {401}


def test_pods_of_a_stage_hold_no_secret_in_their_environment(world: World) -> None:
    namespace = world.namespace
    key = parameter(world)
    for component in ("token", "ingest", "processor"):
        pod = namespace.of_component("one", component)[0]["metadata"]["name"]
        environment = json.loads(namespace.python(pod, "import json, os; print(json.dumps(dict(os.environ)))"))
        assert not [
            name for name, value in environment.items() if key in value or (value[:20] in key and len(value) >= 20)
        ]


def parameter(world: World) -> str:
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
    pod = world.namespace.of_component("one", "token")[0]["metadata"]["name"]
    key = world.namespace.python(pod, code).strip()
    assert len(key) > 20
    return key


def test_the_forward_says_which_stages_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.forward", "nosuch"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "There is no stage nosuch in this cluster." in done.stderr
    assert run("kubectl", "version", "--client")
