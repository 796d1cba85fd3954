"""The processes of the local stack, in the order of their start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import environment
from local.aws.guard import HEALTH_PATH
from local.aws.key_pair import KeyPair
from local.errors import LocalError
from local.handler_folder import handler_path_from
from local.outputs import Outputs
from local.ports import Ports
from local.web_access.origins import origins_from

ROOT = Path(__file__).resolve().parents[1]

QUOTAS: Mapping[str, tuple[str, ...]] = {
    "raised": (
        *("--topic-operations-per-second", "1000"),
        *("--subscriptions", "1000"),
        *("--cache-operations-per-second", "1000"),
    ),
    "default": (),
}
"""The values of MOMENTO_QUOTAS: soft quotas raised as for production, or those of a new account (10 topic operations a
second, 100 subscriptions, 100 cache operations a second). Hard quotas are the same in both."""


class InvalidQuotasError(LocalError):
    """MOMENTO_QUOTAS has an unknown value."""


def quotas_from(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Read MOMENTO_QUOTAS as arguments of the emulator.

    :raises InvalidQuotasError: when the value is unknown.
    """
    raw = environ.get("MOMENTO_QUOTAS", "").strip() or "raised"
    if raw not in QUOTAS:
        raise InvalidQuotasError(f"MOMENTO_QUOTAS must be {' or '.join(QUOTAS)}, not {raw!r}")
    return QUOTAS[raw]


@dataclass(frozen=True, slots=True)
class Program:
    """A process to run: a module, its arguments and environment, and how to check that it is ready."""

    name: str
    module: str
    environment: Mapping[str, str] = field(repr=False)
    arguments: tuple[str, ...] = ()
    ready_url: str | None = None
    """Answers 200 once the program is ready. None for a one-shot, which does its work and ends with status 0."""
    ready_within_seconds: float = 30.0
    stop_within_seconds: float = 10.0
    reload_folder: Path | None = None
    """A change of a Python file in this folder restarts the program."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stack of one port base: its processes, their ports, and the folder of its files."""

    ports: Ports
    shell: Mapping[str, str] = field(repr=False)
    root: Path = ROOT
    keys: KeyPair = field(default_factory=KeyPair.random)

    def __post_init__(self) -> None:
        quotas_from(self.shell)
        origins_from(self.shell)
        environment.passed_variables(self.shell)
        handler_path_from(self.shell)

    @property
    def state(self) -> Path:
        """The folder of all files that the stack writes."""
        return self.ports.state_folder(self.root)

    @property
    def outputs_file(self) -> Path:
        return self.state / "outputs.json"

    @property
    def logs(self) -> Path:
        """The folder of the log files: `<program>.log`."""
        return self.state / "logs"

    def emulators(self) -> list[Program]:
        """Return the emulated AWS and Momento, and the bootstrap that waits for them and creates the stage."""
        return [self._ministack(), self._momento(), self._bootstrap()]

    def system(self, outputs: Outputs) -> list[Program]:
        """Return the processes that use the stage: the three services and the application's server."""
        return [
            *(self._service(name, outputs) for name in ("token", "ingest", "processor")),
            self._page(outputs),
        ]

    def _ministack(self) -> Program:
        return Program(
            name="aws",
            module="local.aws",
            environment=environment.ministack(self.shell, self.ports, self.keys, self.state),
            ready_url=f"http://127.0.0.1:{self.ports.aws}{HEALTH_PATH}",
        )

    def _momento(self) -> Program:
        return Program(
            name="momento",
            module="local.momento",
            arguments=(
                *("--grpc-port", str(self.ports.momento_grpc), "--web-port", str(self.ports.momento_web)),
                *("--state-file", str(self.state / "momento.json")),
                *quotas_from(self.shell),
            ),
            environment=environment.momento(self.shell, self.ports),
            ready_url=f"http://127.0.0.1:{self.ports.momento_web}/_emulator/health",
        )

    def _bootstrap(self) -> Program:
        return Program(
            name="bootstrap",
            module="local.bootstrap",
            arguments=("--outputs", str(self.outputs_file)),
            environment=environment.bootstrap(self.shell, self.ports, self.keys),
        )

    def _service(self, name: str, outputs: Outputs) -> Program:
        settings = environment.service(name, self.shell, self.ports, self.keys, outputs)
        return Program(
            name=name,
            module=f"services.{name}",
            environment=settings,
            ready_url=f"http://127.0.0.1:{settings['OPS_PORT']}/readyz",
            reload_folder=handler_path_from(self.shell) if name == "processor" else None,
        )

    def _page(self, outputs: Outputs) -> Program:
        return Program(
            name="page",
            module="local.page",
            environment=environment.page(
                self.shell, self.ports, self.keys, outputs, self.root / "frontend" / "dist", self.logs
            ),
            ready_url=f"http://127.0.0.1:{self.ports.page}/healthz",
        )
