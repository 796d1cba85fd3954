"""What a program reads from the environment: its variables with their rules, and its default settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from environs import Env

S = TypeVar("S")
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable."""

    required: bool
    rule: object
    """What validates its value, such as a `NumberRule`; None without one."""


@dataclass(frozen=True, slots=True)
class Recorded(Generic[S]):
    """The variables that were read, by name, and the settings without any of them; a required one is None there."""

    variables: dict[str, Variable]
    defaults: S


def record(read_settings: Callable[[Env], S]) -> Recorded[S]:
    """Read the settings from an empty environment."""
    env = _RecordingEnv()
    defaults = read_settings(env)
    return Recorded(env.variables, defaults)


class _RecordingEnv(Env):
    """Answers the default of each variable, and keeps how it was asked for."""

    def __init__(self) -> None:
        super().__init__(eager=False)
        self.variables: dict[str, Variable] = {}

    def list(self, name: str, default: Any = _REQUIRED, *, validate: object = None, subcast: object = None) -> Any:  # type: ignore[override]
        del subcast
        return self.str(name, default, validate=validate)

    def str(self, name: str, default: Any = _REQUIRED, *, validate: object = None) -> Any:  # type: ignore[override]
        self.variables[name] = Variable(default is _REQUIRED, validate)
        return None if default is _REQUIRED else default
