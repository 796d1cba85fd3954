"""Records calls and can simulate a crash after any of them."""

from dataclasses import dataclass, field

_READS = ("Get", "List", "Describe")


class Killed(BaseException):
    """Simulates a crash: nothing after this call has happened."""


@dataclass
class Calls:
    """Answered calls in order. Can kill the caller after any of them."""

    made: list[str] = field(default_factory=list)
    kill_after: int | None = None

    @property
    def writes(self) -> list[str]:
        return [action for action in self.made if not action.startswith(_READS)]

    def record(self, action: str) -> None:
        self.made.append(action)
        self.check_alive()

    def check_alive(self) -> None:
        """Raise if the caller has been killed, so that its later calls do not happen either."""
        if self.kill_after is not None and len(self.made) >= self.kill_after:
            raise Killed(self.made[-1])

    def reset(self, kill_after: int | None = None) -> None:
        self.made.clear()
        self.kill_after = kill_after
