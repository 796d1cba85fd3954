"""A fresh Vite application that installs the packed JavaScript client, as a reader of the tutorials makes one."""

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import ConsoleMessage, Page

from local.plan import ROOT
from tests.support.ports import free_port
from tests.support.processes.child import running

VITE = str(ROOT / "node_modules" / ".bin" / "vite")
CREATE_VITE = "create-vite@9.3.0"
QUIET = ("--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")


class CommandFailedError(AssertionError):
    """A command has ended with another status than 0; the message has its output."""


async def run(*command: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it has written.

    :raises CommandFailedError: where its exit status is not 0.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    if process.returncode != 0:
        raise CommandFailedError(f"{' '.join(command)} in {folder.name}: status {process.returncode}\n{output}")
    return output


class ViteApp:
    """An application in a folder of its own, outside of this repository and its node_modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    async def create(cls, folder: Path, template: str) -> "ViteApp":
        """Generate the application from one of create-vite's templates."""
        command = ("npm", "exec", "--yes", "--prefer-offline", "--", CREATE_VITE, folder.name)
        await run(*command, "--template", template, "--no-interactive", folder=folder.parent)
        return cls(folder)

    async def install(self, *packages: str) -> None:
        await run("npm", "install", *QUIET, *packages, folder=self.folder)

    def copy(self, source: Path, below: str = ".") -> None:
        """Copy files over those of the template."""
        shutil.copytree(source, self.folder / below, dirs_exist_ok=True)

    async def build(self) -> None:
        """Check the types and bundle, with what the template provides for that."""
        await run("npm", "run", "build", folder=self.folder)

    async def node(self, script: str, *, module: bool = True) -> str:
        """Run a script in Node, and return what it has written."""
        kind = "module" if module else "commonjs"
        return await run("node", f"--input-type={kind}", "--eval", script, folder=self.folder)


@contextmanager
def preview(folder: Path, port: int | None = None) -> Iterator[str]:
    """Serve an application that was built, and return its URL."""
    port = port or free_port()
    command = [VITE, "preview", str(folder), "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    with running(command, {}) as server:
        server.wait_for_output("Local:")
        yield f"http://localhost:{port}"


def problems_of(page: Page) -> list[str]:
    """Return a list to which the page's warnings and errors are added."""
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"warning", "error"}:
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems
