"""Which port is whose: every port of the embedded stack moves with LOCAL_PORT_BASE."""

from collections.abc import Mapping
from dataclasses import dataclass

from local.errors import LocalError

DEFAULT_BASE = 8080
LOWEST_BASE = 4538
"""So that the lowest port, the emulated AWS at base - 3514, needs no privilege (1024 and up)."""
HIGHEST_BASE = 64_532
"""So that the highest port, the processor's operations port at base + 1003, exists (65,535 at most)."""


class BadPortBaseError(LocalError):
    """LOCAL_PORT_BASE is not a number of a usable range."""


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

    def purposes(self) -> dict[int, str]:
        """What each port is for, in the words of the messages that name it."""
        return {
            self.page: "the page",
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
    """The ports that LOCAL_PORT_BASE asks for; BadPortBaseError says what is wrong with it."""
    raw = environ.get("LOCAL_PORT_BASE", "").strip()
    if not raw:
        return Ports()
    if not (raw.isascii() and raw.isdigit()):
        raise BadPortBaseError(f"LOCAL_PORT_BASE must be a whole number such as 18080, not {raw!r}")
    base = int(raw) if len(raw) <= len(str(HIGHEST_BASE)) else HIGHEST_BASE + 1
    if not LOWEST_BASE <= base <= HIGHEST_BASE:
        raise BadPortBaseError(f"LOCAL_PORT_BASE must be between {LOWEST_BASE} and {HIGHEST_BASE}, not {raw}")
    return Ports(base)
