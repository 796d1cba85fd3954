"""The local stack for tests: the real processes of `make up` on free ports, each of which a test may restart.

`local_stack` is shared by the session: a test that changes a service restores it (`restarted`).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from local.environment import REGION
from local.outputs import Outputs
from local.plan import Plan, Program
from local.ports import Ports
from local.supervisor.child import describe_exit
from tests.support.ports import free_port_base
from tests.support.processes.child import Child, python
from tests.support.processes.ministack import ClientSettings

START_SECONDS = 45.0
SHELL = {"ECHO_SECONDS": "0.2", "RECEIVE_WAIT_SECONDS": "1", "LOG_LEVEL": "DEBUG"}


class LocalStack:
    """The stack of one free port base. Use as a context manager."""

    def __init__(self, folder: Path, extra: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """`extra` adds to the environment of single programs: `{"processor": {"ECHO_SECONDS": "1"}}`."""
        self.ports = Ports(free_port_base())
        shell = {**os.environ, **SHELL, "LOCAL_ORIGINS": f"http://localhost:{self.developers_port}"}
        self.plan = Plan(self.ports, shell, folder)
        self._extra = dict(extra or {})
        self._programs: dict[str, Program] = {}
        self._running: dict[str, Child] = {}

    def __enter__(self) -> Self:
        self.plan.logs.mkdir(parents=True)
        try:
            for program in self.plan.emulators():
                self._launch(program)
            for name in list(self._running):
                self.wait_ready(name)
            for program in self.plan.system(self.outputs):
                self._launch(program)
            for name in list(self._running):
                self.wait_ready(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def outputs(self) -> Outputs:
        return Outputs.read(self.plan.outputs_file)

    @property
    def developers_port(self) -> int:
        """Free for a page of the developer's own, which LOCAL_ORIGINS names."""
        return self.ports.base + 3

    @property
    def page_url(self) -> str:
        return f"http://localhost:{self.ports.page}"

    @property
    def emulator_admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.momento_web}/_emulator"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.aws}"

    def aws_client(self) -> ClientSettings:
        """For `create_client("sqs", **…)`: the emulated AWS with the key pair of this run."""
        keys = self.plan.keys
        return {
            "endpoint_url": self.aws_url,
            "region_name": REGION,
            "aws_access_key_id": keys.access_key_id,
            "aws_secret_access_key": keys.secret_access_key,
        }

    def environment(self, name: str) -> dict[str, str]:
        """The environment with which a program was last started."""
        return dict(self._programs[name].environment)

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def output(self, name: str) -> str:
        """The output of a program since the stack started, including restarts."""
        return self._log(name).read_text(encoding="utf-8", errors="replace")

    def stop(self, name: str) -> int:
        """Stop a program and return its exit status, negative for a signal."""
        return self._running.pop(name).stop(self._programs[name].stop_within_seconds)

    def start(self, name: str, extra: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        """Start a program that was stopped, with the same environment and `extra`."""
        program = self._programs[name]
        self._launch(replace(program, environment={**program.environment, **(extra or {})}))
        if wait:
            self.wait_ready(name)

    def restart(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        self.stop(name)
        self.start(name, extra)

    @contextmanager
    def restarted(self, name: str, extra: Mapping[str, str]) -> Iterator[None]:
        """A program with `extra` in its environment during a block, and restore it afterwards."""
        before = self._programs[name]
        self.restart(name, extra)
        try:
            yield
        finally:
            if name in self._running:
                self.stop(name)
            self._launch(before)
            self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Wait until a program is ready, or, if it runs once, has succeeded."""
        child, url = self._running[name], self._programs[name].ready_url
        if url:
            child.wait_until_ready(url, START_SECONDS)
        elif status := child.ended(START_SECONDS):
            raise child.failed(describe_exit(status))

    def close(self) -> None:
        """Stop everything in reverse order of start."""
        with ExitStack() as running:
            for name in self._running:
                running.callback(self.stop, name)

    def _launch(self, program: Program) -> None:
        environment = {**program.environment, **self._extra.get(program.name, {})}
        self._programs[program.name] = replace(program, environment=environment)
        child = Child(python(program.module, *program.arguments), environment, self._log(program.name))
        child.start()
        self._running[program.name] = child

    def _log(self, name: str) -> Path:
        return self.plan.logs / f"{name}.log"


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
