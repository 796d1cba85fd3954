"""The developer's view of a running stack."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape

import aiohttp
import pytest
from aiobotocore.session import get_session

from local.demo.sign_up import SignedInUser, application, signed_in_user
from local.dev_view.dead_letters import COMMAND
from local.dev_view.switches import SLOW_SECONDS
from local.plan import ROOT
from tests.support.processes.local_stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]  # the first test also starts the stack

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Shown:
    """An answer of the developer's view."""

    status: int
    url: str
    html: str

    @property
    def text(self) -> str:
        return unescape(re.sub(r"<[^>]+>", " ", self.html))

    @property
    def form_token(self) -> str:
        return unescape(re.findall(r'name="formToken" value="([^"]+)"', self.html)[0])

    def row(self, text: str) -> str:
        """The row of a table that has this text."""
        return next(row for row in self.html.split("<tr>") if text in row)


class View:
    """The developer's view, as a browser at this machine uses it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Shown:
        return await self._ask("GET", path, headers, None)

    async def post(self, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> Shown:
        return await self._ask("POST", path, headers, fields)

    async def press(self, path: str, **fields: str) -> Shown:
        """Send a form of the page at `path`."""
        return await self.post(path, None, formToken=(await self.get(path)).form_token, **fields)

    async def until(self, path: str, text: str) -> Shown:
        """The page, as soon as it has this text."""

        async def has_text() -> bool:
            return text in (await self.get(path)).text

        await wait_until(has_text, timeout_seconds=PATIENCE_SECONDS)
        return await self.get(path)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None, fields: Mapping[str, str] | None
    ) -> Shown:
        async with self._session.request(method, f"{self.url}{path}", headers=headers, data=fields) as answer:
            return Shown(answer.status, answer.url.path, await answer.text())


@pytest.fixture
async def view(local_stack: LocalStack) -> AsyncIterator[View]:
    async with aiohttp.ClientSession() as session:
        view = View(session, local_stack.page_url)
        yield view
        await view.press("/dev/faults")  # reset


@pytest.fixture
async def user(local_stack: LocalStack) -> SignedInUser:
    async with application(local_stack.page_url) as app:
        return await signed_in_user(app)


@pytest.fixture
async def dead_letter(local_stack: LocalStack, user: SignedInUser, view: View) -> AsyncIterator[str]:
    """The id of a task that has failed for good. All dead letters are deleted at the end."""
    async with user.api() as api:
        task = await api.submit("failure", "data")
    await view.until(f"/dev/task/{task.id}", "failed")
    yield task.id
    environment = local_stack.environment("page")
    arguments = (*COMMAND, "purge", "--all", "--yes")
    purge = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await purge.wait() == 0


async def test_a_task_is_listed_with_its_user_and_its_log_lines(view: View, user: SignedInUser) -> None:
    async with user.api() as api:
        task = await api.submit("default", "secret payload")
        await task.finished()
    one = await view.until(f"/dev/task/{task.id}", "task concluded")
    for shown in ("default", "finished", "task accepted", "ingest", "processor", "outcome=finished", "delivery=1"):
        assert shown in one.text
    row = (await view.get("/dev")).row(task.id)
    assert re.search(r'data-label="Status">finished<', row)
    assert re.search(r'data-label="User">[0-9a-f-]{36}<', row)
    assert re.search(r'data-label="Deliveries">1<', row)
    assert "secret payload" not in one.html + row


async def test_a_running_task_has_the_status_of_its_snapshot(view: View, user: SignedInUser) -> None:
    async with user.api() as api:
        task = await api.submit("steps", {"steps": 60})
        await view.until(f"/dev/task/{task.id}", "running")
        assert 'data-label="Status">running<' in (await view.get("/dev")).row(task.id)
        await task.cancel()
        await view.until(f"/dev/task/{task.id}", "cancelled")


async def test_an_unknown_task_is_not_found(view: View) -> None:
    assert (await view.get("/dev/task/no-such-task")).status == 404


async def test_a_dead_letter_is_listed_and_redriven(view: View, dead_letter: str) -> None:
    row = (await view.until("/dev/dead-letters", dead_letter)).row(dead_letter)
    for shown in ("failure", "permanent", "tasks of the type failure always fail", " s<"):
        assert shown in row
    (message_id,) = re.findall(r'name="id" value="([^"]+)"', row)
    done = await view.press("/dev/dead-letters", id=message_id)
    assert (done.status, done.url) == (200, "/dev/dead-letters")
    assert "1 redriven." in done.text
    await view.until(f"/dev/task/{dead_letter}", "redriven=True")
    gone = await view.press("/dev/dead-letters", id=message_id)
    assert (gone.status, "no longer in the dead-letter queue" in gone.text) == (503, True)


async def test_all_dead_letters_are_redriven_at_once(view: View, dead_letter: str) -> None:
    await view.until("/dev/dead-letters", dead_letter)
    done = await view.press("/dev/dead-letters")
    assert re.search(r"[1-9]\d* redriven\.", done.text)
    await view.until(f"/dev/task/{dead_letter}", "redriven=True")


@asynccontextmanager
async def switched_on(view: View, name: str) -> AsyncIterator[None]:
    shown = await view.press("/dev/faults", name=name, on="true")
    assert re.search(r"<strong>on</strong>", shown.row(f'value="{name}"'))
    yield
    shown = await view.press("/dev/faults", name=name, on="")
    assert "<strong>" not in shown.row(f'value="{name}"')


@pytest.mark.parametrize("name", ["momento-down", "momento-key-refused"])
async def test_momento_fails_while_the_switch_is_on(
    view: View, local_stack: LocalStack, user: SignedInUser, name: str
) -> None:
    async with switched_on(view, name):
        assert await token_status(view, user) == 503

    async def is_available() -> bool:
        return await token_status(view, user) == 200

    await wait_until(is_available, timeout_seconds=PATIENCE_SECONDS)


async def token_status(view: View, user: SignedInUser) -> int:
    headers = {"Authorization": f"Bearer {user.id_token}"}
    return (await view.get("/token", headers)).status


async def test_momento_is_slow_while_the_switch_is_on(view: View, local_stack: LocalStack) -> None:
    async with switched_on(view, "momento-slow"):
        faults = await emulator_faults(local_stack)
        assert [(fault["method"], fault["delayMs"]) for fault in faults] == [("*", SLOW_SECONDS * 1000)]
    assert await emulator_faults(local_stack) == []


async def emulator_faults(stack: LocalStack) -> list[dict[str, object]]:
    headers = {"x-emulator-admin": "1"}
    async with aiohttp.request("GET", f"{stack.emulator_admin_url}/settings", headers=headers) as answer:
        faults: list[dict[str, object]] = (await answer.json())["faults"]
        return faults


async def test_sqs_alone_is_slow_while_the_switch_is_on(view: View, local_stack: LocalStack) -> None:
    async with switched_on(view, "sqs-slow"):
        assert await seconds_of(local_stack, "sqs", "list_queues") >= SLOW_SECONDS
        assert await seconds_of(local_stack, "ssm", "describe_parameters") < SLOW_SECONDS
    assert await seconds_of(local_stack, "sqs", "list_queues") < SLOW_SECONDS


async def seconds_of(stack: LocalStack, service: str, operation: str) -> float:
    async with get_session().create_client(service, **stack.aws_client()) as client:  # type: ignore[call-overload]
        started = time.monotonic()
        await getattr(client, operation)()
        return time.monotonic() - started


async def test_everything_is_reset_at_once(view: View) -> None:
    for name in ("momento-down", "momento-slow", "momento-key-refused", "sqs-slow"):
        await view.press("/dev/faults", name=name, on="true")
    assert (await view.get("/dev/faults")).html.count("<strong>on</strong>") == 4
    assert (await view.press("/dev/faults")).html.count("<strong>on</strong>") == 0


async def test_without_the_form_token_nothing_is_changed(view: View, local_stack: LocalStack) -> None:
    own_page = {"Origin": f"http://localhost:{local_stack.developers_port}", "Sec-Fetch-Site": "same-site"}
    for path in ("/dev/faults", "/dev/dead-letters"):
        for headers in ({}, own_page):
            for fields in ({}, {"formToken": ""}, {"formToken": "x"}, {"formToken": "\u00e4"}):
                refused = await view.post(path, headers, name="momento-down", on="true", **fields)
                assert refused.status == 403
    assert "<strong>" not in (await view.get("/dev/faults")).html


async def test_a_web_site_can_neither_read_nor_change(view: View, local_stack: LocalStack) -> None:
    form_token = (await view.get("/dev/faults")).form_token
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        for path in ("/dev", "/dev/faults", "/dev/dead-letters", "/dev/task/x"):
            assert (await view.get(path, headers)).status in {403, 421}
        refused = await view.post("/dev/faults", headers, formToken=form_token, name="momento-down", on="true")
        assert refused.status in {403, 421}
    own_page = {"Origin": f"http://localhost:{local_stack.developers_port}"}
    async with aiohttp.request("GET", f"{view.url}/dev/faults", headers=own_page) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("name", ["no-such-switch", ""])
async def test_an_unknown_switch_is_refused(view: View, name: str) -> None:
    assert (await view.press("/dev/faults", name=name, on="true")).status == 400


async def test_a_large_form_is_refused(view: View) -> None:
    assert (await view.press("/dev/faults", name="x" * 5_000)).status == 413


async def test_while_momento_is_stopped_the_tasks_are_shown_without_users(view: View, local_stack: LocalStack) -> None:
    local_stack.stop("momento")
    try:
        tasks, faults = await view.get("/dev"), await view.get("/dev/faults")
    finally:
        await asyncio.to_thread(local_stack.start, "momento")
    assert (tasks.status, "The Momento emulator does not answer" in tasks.text) == (200, True)
    assert (faults.status, "The Momento emulator does not answer" in faults.text) == (503, True)
