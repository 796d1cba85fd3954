"""What the embedded stack consists of, in the order of its start."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import environment
from local.aws.guard import HEALTH_PATH
from local.aws.key_pair import KeyPair
from local.errors import LocalError
from local.origins import origins_from
from local.outputs import Outputs
from local.ports import Ports

ROOT = Path(__file__).resolve().parents[1]

QUOTAS: Mapping[str, tuple[str, ...]] = {
    "raised": (
        *("--topic-operations-per-second", "1000"),
        *("--subscriptions", "1000"),
        *("--cache-operations-per-second", "1000"),
    ),
    "default": (),
}
"""What MOMENTO_QUOTAS may ask for: Momento's soft quotas as a team has them raised before it goes live, or those of
a new account (10 topic operations a second, 100 subscriptions, 100 cache operations a second). The hard ones stay."""


class BadQuotasError(LocalError):
    """MOMENTO_QUOTAS is none of those that there are."""


def quotas_from(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The emulator's arguments for what MOMENTO_QUOTAS asks for; BadQuotasError says what it may be."""
    raw = environ.get("MOMENTO_QUOTAS", "").strip() or "raised"
    if raw not in QUOTAS:
        raise BadQuotasError(f"MOMENTO_QUOTAS must be {' or '.join(QUOTAS)}, not {raw!r}")
    return QUOTAS[raw]


@dataclass(frozen=True, slots=True)
class Program:
    """A process to run: a module, its arguments and environment, and how to tell that it is ready."""

    name: str
    module: str
    environment: Mapping[str, str] = field(repr=False)
    arguments: tuple[str, ...] = ()
    ready_url: str | None = None
    """Answers 200 once the program is ready; None for a program that does its work and ends with status 0."""
    ready_within_seconds: float = 30.0
    stop_within_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The stack of one port base: what it runs where, and where it keeps what it writes."""

    ports: Ports
    shell: Mapping[str, str] = field(repr=False)
    root: Path = ROOT
    keys: KeyPair = field(default_factory=KeyPair.random)

    def __post_init__(self) -> None:
        quotas_from(self.shell)
        origins_from(self.shell)
        environment.passed_by_name(self.shell)

    @property
    def state(self) -> Path:
        """Everything the stack writes is below this folder."""
        return self.root / ".local" / str(self.ports.base)

    @property
    def outputs_file(self) -> Path:
        return self.state / "outputs.json"

    def forget_earlier_run(self) -> None:
        """Nothing of an earlier run is of use to the next, but for one signing key that takes long to make."""
        self.outputs_file.unlink(missing_ok=True)
        shutil.rmtree(self.state / "ministack" / "cognito-pool-keys", ignore_errors=True)

    def emulators(self) -> list[Program]:
        """The emulated AWS and Momento, and the bootstrap that waits for them and then makes the stage."""
        return [self._ministack(), self._momento(), self._bootstrap()]

    def system(self, outputs: Outputs) -> list[Program]:
        """What runs on the stage: the three services, and the page."""
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
        )

    def _page(self, outputs: Outputs) -> Program:
        return Program(
            name="page",
            module="local.page",
            environment=environment.page(self.shell, self.ports, self.keys, outputs, self.root / "frontend" / "dist"),
            ready_url=f"http://127.0.0.1:{self.ports.page}/healthz",
        )
