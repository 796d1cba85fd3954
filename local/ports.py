"""The ports of the local stack. All of them move with LOCAL_PORT_BASE."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError

DEFAULT_BASE = 8080
MIN_BASE = 4538
"""The lowest port, the emulated AWS at base - 3514, must be at least 1024, which needs no privilege."""
MAX_BASE = 64_532
"""The highest port, the processor's operations port at base + 1003, must be at most 65,535."""


class InvalidPortBaseError(LocalError):
    """LOCAL_PORT_BASE is not a number in the valid range."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one stack, as in the table of the README."""

    base: int = DEFAULT_BASE

    @property
    def page(self) -> int:
        return self.base

    @property
    def token(self) -> int:
        return self.base + 1

    @property
    def ingest(self) -> int:
        return self.base + 2

    @property
    def momento_grpc(self) -> int:
        return self.base + 4

    @property
    def momento_web(self) -> int:
        return self.base + 5

    @property
    def token_ops(self) -> int:
        return self.base + 1001

    @property
    def ingest_ops(self) -> int:
        return self.base + 1002

    @property
    def processor_ops(self) -> int:
        return self.base + 1003

    @property
    def aws(self) -> int:
        return self.base - 3514

    def state_folder(self, root: Path) -> Path:
        """Return the folder of all files that the stack on these ports writes.

        :param root: the folder of the project.
        """
        return root / ".local" / str(self.base)

    def purposes(self) -> dict[int, str]:
        """Return the purpose of each port, for messages."""
        return {
            self.page: "the application",
            self.token: "the token service",
            self.ingest: "the ingest service",
            self.token_ops: "operations of the token service",
            self.ingest_ops: "operations of the ingest service",
            self.processor_ops: "operations of the processor",
            self.momento_grpc: "the Momento emulator (gRPC)",
            self.momento_web: "the Momento emulator (gRPC-web)",
            self.aws: "the emulated AWS",
        }


def ports_from(environ: Mapping[str, str]) -> Ports:
    """Read LOCAL_PORT_BASE.

    :raises InvalidPortBaseError: when it is not a number in the valid range.
    """
    raw = environ.get("LOCAL_PORT_BASE", "").strip()
    if not raw:
        return Ports()
    if not (raw.isascii() and raw.isdigit()):
        raise InvalidPortBaseError(f"LOCAL_PORT_BASE must be a whole number such as 18080, not {raw!r}")
    base = int(raw) if len(raw) <= len(str(MAX_BASE)) else MAX_BASE + 1
    if not MIN_BASE <= base <= MAX_BASE:
        raise InvalidPortBaseError(f"LOCAL_PORT_BASE must be between {MIN_BASE} and {MAX_BASE}, not {raw}")
    return Ports(base)
