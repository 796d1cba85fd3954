"""A tutorial, run as its reader would: every command and every file of the page, in order.

- a block `sh` is run in the reader's shell; one with a title is left running in a terminal of its own
- a block with a path as title is written to that file
- a block with the title "It prints" has to be the output of the command before it; `…` stands for anything
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.plan import ROOT
from tests.support.ports import free_port, free_port_base
from tests.support.waiting import wait_until_sync

COMMAND_SECONDS = 300
TERMINAL_SECONDS = 120
OUTPUT = "It prints"
ANYTHING = "…"
_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE
)
_SECTION = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page."""

    language: str
    title: str | None
    text: str


def _clone(folder: Path) -> None:
    """Copy this repository, with what has been installed and built: a reader's `make` would do that again.

    npm may replace `node_modules`, so that is the clone's own; the files in it are links where the file system permits.
    """
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    for name in [*listed, *(str(path.relative_to(ROOT)) for path in _built())]:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    copy = ["cp", "--archive", str(ROOT / "node_modules"), str(folder)]
    if subprocess.run([*copy, "--link"], capture_output=True).returncode:
        subprocess.run([*copy, "--force"], check=True)


def _built() -> Iterator[Path]:
    """What git ignores and `make` keeps: the application, and the packed client."""
    yield from (path for path in (ROOT / "frontend/dist").rglob("*") if path.is_file())
    yield from (ROOT / "sdk/javascript").glob("*.tgz")


def sections_of(page: str) -> dict[str, list[Block]]:
    """The blocks of a page below each heading of the second level."""
    parts = _SECTION.split(page)[1:]
    return {part.partition("\n")[0]: list(_blocks(part)) for part in parts}


def _blocks(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        yield Block(found["language"], found["title"], found["text"])


class Reader:
    """Somebody who follows a page in a clone of this repository, on free ports instead of 8080 and 5173."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "notification-api"
        _clone(self.clone)
        self._ports = {"8080": free_port_base(), "5173": free_port()}
        self._folder = folder
        self._output = ""
        self._terminals = ExitStack()

    @property
    def api_url(self) -> str:
        return f"http://localhost:{self._ports['8080']}"

    @property
    def app_url(self) -> str:
        return f"http://localhost:{self._ports['5173']}"

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._terminals.close()

    def follow(self, blocks: list[Block]) -> None:
        """Do what the blocks say.

        :raises AssertionError: when a command fails, or prints something else than the page says.
        """
        for block in blocks:
            text = self._on_free_ports(block.text)
            if block.title == OUTPUT:
                assert re.search(_pattern(text), self._output, re.DOTALL), f"{self._output}\nis not\n{text}"
            elif block.language != "sh":
                self._write(block.title, text)
            elif block.title:
                self._terminals.enter_context(self._terminal(text, block.title))
            else:
                self._run(text)

    def _on_free_ports(self, text: str) -> str:
        for usual, port in self._ports.items():
            text = re.sub(rf"\b{usual}\b", str(port), text)
        return text

    def _write(self, title: str | None, text: str) -> None:
        assert title, f"this block says neither a file nor a command:\n{text}"
        path = self.clone / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def _environment(self) -> dict[str, str]:
        shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**shell, "LOCAL_PORT_BASE": str(self._ports["8080"]), "NO_COLOR": "1", "CI": "1"}

    def _run(self, text: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.clone,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        self._output = done.stdout

    @contextmanager
    def _terminal(self, text: str, title: str) -> Iterator[None]:
        """A command that goes on; its block ends when it has printed an address."""
        log = self._folder / f"{title}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=self.clone,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_sync(
                lambda: "http://localhost:" in log.read_text() or process.poll() is not None,
                lambda: f"{text}\n{log.read_text()}",
                timeout_seconds=TERMINAL_SECONDS,
            )
            assert process.poll() is None, f"{text}\n{log.read_text()}"
            yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # SIGINT may be ignored where tests run in the background
            process.wait(timeout=60)


def _pattern(text: str) -> str:
    """The text as a regular expression; it may break where the output does not."""
    return r"\s*".join(re.escape(part).replace(re.escape(ANYTHING), ".*") for part in text.split())
