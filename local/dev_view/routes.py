"""The routes of the developer's view. They are for people at this machine: `local.web_access` has checked the request.

A form also needs the token of this run. So a page of an own origin (LOCAL_ORIGINS), which `local.web_access` admits,
cannot send one.
"""

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from local.dev_view import pages
from local.dev_view.calls import UnavailableError
from local.dev_view.dead_letters import DeadLetters
from local.dev_view.log_files import read_task_lines
from local.dev_view.momento import MomentoAdmin
from local.dev_view.settings import DevViewSettings
from local.dev_view.switches import SqsDelaySwitch, Switches
from local.dev_view.tasks import CachedTask, Task, tasks_of

MAX_FORM_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class DevView:
    """What the handlers use."""

    settings: DevViewSettings
    momento: MomentoAdmin
    switches: Switches
    dead_letters: DeadLetters
    form_token: str = field(default_factory=secrets.token_urlsafe, repr=False)

    async def tasks(self) -> tuple[list[Task], str | None]:
        """Return the tasks, the newest first, and why their users are unknown, if so."""
        lines = await asyncio.to_thread(read_task_lines, self.settings.logs)
        cached: Mapping[str, CachedTask] = {}
        problem = None
        try:
            cached = await self.momento.cached_tasks(self.settings.cache_name)
        except UnavailableError as error:
            problem = str(error)
        return tasks_of(lines, cached), problem


class FormError(Exception):
    """A form is refused."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


VIEW = web.AppKey("dev_view", DevView)


def is_dev_path(path: str) -> bool:
    """Return whether the path belongs to the developer's view."""
    return path == pages.TASKS or path.startswith(f"{pages.TASKS}/")


def add_dev_view(app: web.Application, settings: DevViewSettings) -> None:
    """Add the routes to the application's server."""

    async def view(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            momento = MomentoAdmin(session, settings.momento_admin_url)
            sqs = SqsDelaySwitch(session, settings.aws_url, settings.aws_secret)
            dead_letters = DeadLetters(settings.command_environment)
            app[VIEW] = DevView(settings, momento, Switches(momento, sqs), dead_letters)
            yield

    app.cleanup_ctx.append(view)
    app.middlewares.append(_show_problems)
    app.router.add_get(pages.TASKS, get_tasks)
    app.router.add_get(pages.TASKS + "/task/{id}", get_task)
    app.router.add_get(pages.DEAD_LETTERS, get_dead_letters)
    app.router.add_post(pages.DEAD_LETTERS, post_dead_letters)
    app.router.add_get(pages.FAULTS, get_faults)
    app.router.add_post(pages.FAULTS, post_faults)


@web.middleware
async def _show_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnavailableError as error:
        return _html(pages.problem_page(str(error)), HTTPStatus.SERVICE_UNAVAILABLE)
    except FormError as error:
        return _html(pages.problem_page(str(error)), error.status)


async def get_tasks(request: web.Request) -> web.Response:
    return _html(pages.tasks_page(*await request.app[VIEW].tasks()))


async def get_task(request: web.Request) -> web.Response:
    tasks, _ = await request.app[VIEW].tasks()
    task = next((task for task in tasks if task.id == request.match_info["id"]), None)
    if task is None:
        return _html(pages.problem_page("No log line names this task."), HTTPStatus.NOT_FOUND)
    return _html(pages.task_page(task))


async def get_dead_letters(request: web.Request) -> web.Response:
    view = request.app[VIEW]
    redriven = request.query.get("redriven", "")
    count = int(redriven) if redriven.isascii() and redriven.isdigit() else None
    listed = await view.dead_letters.listed()
    return _html(pages.dead_letters_page(listed, view.form_token, count, datetime.now(UTC)))


async def post_dead_letters(request: web.Request) -> web.Response:
    """Redrive the dead letter that the form names, or all."""
    form = await _checked_form(request)
    redriven = await request.app[VIEW].dead_letters.redrive(form.get("id"))
    return _redirect(f"{pages.DEAD_LETTERS}?redriven={redriven}")


async def get_faults(request: web.Request) -> web.Response:
    view = request.app[VIEW]
    return _html(pages.faults_page(await view.switches.read(), view.form_token))


async def post_faults(request: web.Request) -> web.Response:
    """Turn the switch that the form names, or reset all."""
    form = await _checked_form(request)
    switches = request.app[VIEW].switches
    if "name" not in form:
        await switches.reset()
    elif form["name"] in switches.names:
        await switches.turn(form["name"], on=form.get("on") == "true")
    else:
        raise FormError(HTTPStatus.BAD_REQUEST, "There is no such switch.")
    return _redirect(pages.FAULTS)


async def _checked_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form that a page of this run has sent.

    :raises FormError: when it is another form.
    """
    if (request.content_length or 0) > MAX_FORM_BYTES or hdrs.TRANSFER_ENCODING in request.headers:
        raise FormError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large.")
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    expected = request.app[VIEW].form_token
    if not hmac.compare_digest(form.get("formToken", "").encode(), expected.encode()):
        raise FormError(HTTPStatus.FORBIDDEN, "This form is of another run. Reload the page that it is on.")
    return form


def _redirect(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: path})


def _html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers={hdrs.CACHE_CONTROL: "no-store"})
