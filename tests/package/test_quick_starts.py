"""The quick starts: a fresh Vite application installs the package, is compiled as strictly as its template says, and
shows the notification of a task that it has submitted.
"""

import asyncio
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from local.plan import ROOT
from local.token import id_token
from tests.support.processes.local_stack import LocalStack
from tests.support.vite_app import ViteApp, preview, problems_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

FRAMEWORKS = ("react", "vanilla", "vue")
NOTIFIED_WITHIN_MS = 20_000
Apps = dict[str, ViteApp]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def token(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `make token` prints."""
    return await id_token(local_stack.page_url, tmp_path_factory.mktemp("user") / "developer.json")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def apps(
    client_tarball: Path, local_stack: LocalStack, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Apps:
    """The application of each quick start, built."""
    folder = tmp_path_factory.mktemp("quick-starts")

    async def quick_start(framework: str) -> ViteApp:
        app = await ViteApp.create(folder / framework, f"{framework}-ts")
        await app.install(str(client_tarball))
        app.copy(ROOT / "examples" / f"{framework}-quickstart" / "src", "src")
        settings = {"VITE_API_URL": local_stack.page_url, "VITE_ID_TOKEN": token}
        (app.folder / ".env.local").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        await app.build()
        return app

    built = await asyncio.gather(*map(quick_start, FRAMEWORKS))
    return dict(zip(FRAMEWORKS, built, strict=True))


async def notification_count(local_stack: LocalStack, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.get(f"{local_stack.page_url}/notifications", headers=headers) as answer,
    ):
        return len((await answer.json())["notifications"])


async def expect_notified(page: Page, known: int) -> None:
    """Submit a task, and see that it finishes and is notified."""
    await page.get_by_role("button", name="Submit a task").click()
    await expect(page.get_by_text("Task: finished")).to_be_visible(timeout=NOTIFIED_WITHIN_MS)
    await expect(page.get_by_role("listitem")).to_have_text(["Finished task: hello"] * (known + 1))


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_quick_start_submits_a_task_and_shows_its_notification(
    framework: str, apps: Apps, local_stack: LocalStack, token: str, browser: Browser
) -> None:
    known = await notification_count(local_stack, token)
    with preview(apps[framework].folder, local_stack.developers_port) as url:
        async with await browser.new_context() as context:
            page = await context.new_page()
            problems = problems_of(page)
            await page.goto(url)
            await expect(page.get_by_text("Connection: connected")).to_be_visible(timeout=NOTIFIED_WITHIN_MS)
            await expect_notified(page, known)
            assert problems == []


async def test_only_what_an_application_uses_has_to_be_installed(apps: Apps) -> None:
    """Without React the entries `.` and `./vue` are built, without Vue `.` and `./react`."""
    installed = {name: {path.name for path in (app.folder / "node_modules").iterdir()} for name, app in apps.items()}
    assert {name: {"react", "vue"} & packages for name, packages in installed.items()} == {
        "react": {"react"},
        "vanilla": set(),
        "vue": {"vue"},
    }


async def test_commonjs_imports_the_package_and_a_server_creates_a_client(apps: Apps) -> None:
    script = """
        import("notification-api-client").then(({ NotificationApi }) => {
          const api = new NotificationApi({ url: "https://api.test", getIdToken: async () => null });
          console.log(api.connection.getSnapshot().state);
        });
    """
    assert (await apps["vanilla"].node(script, module=False)).strip() == "idle"
