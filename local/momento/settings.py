"""Quotas and switches with their defaults, sources and limits, for the command line and for changes at run time.

The defaults of the quotas are the real service's for a new account (docs.momentohq.com, /topics/limits and
/cache/limits, read 2026-11). Momento raises a soft quota on request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

_HUGE = 1e12


class InvalidSettingsError(ValueError):
    """Settings are invalid; `problems` lists all reasons."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _setting(default: float, help_text: str, *, minimum: float = 0, maximum: float = _HUGE) -> Any:
    return field(default=default, metadata={"help": help_text, "minimum": minimum, "maximum": maximum})


def _switch(help_text: str, *, on: bool = False) -> Any:
    return field(default=on, metadata={"help": help_text})


@dataclass(slots=True)
class Settings:
    """The settings. They are read each time they are used, so that a change takes effect at once."""

    topic_operations_per_second: float = _setting(
        10.0, "soft quota: publishes and deliveries together, each counted once per started KB", minimum=0.001
    )
    subscriptions: int = _setting(100, "soft quota: live subscriptions")
    max_payload_bytes: int = _setting(4096, "hard quota: size of a topic message", minimum=1)
    tokens_per_second: float = _setting(5.0, "hard quota: disposable tokens vended a second", minimum=0.001)
    control_operations_per_second: float = _setting(
        5.0, "hard quota: cache creations, deletions and listings a second", minimum=0.001
    )
    cache_operations_per_second: float = _setting(
        100.0, "soft quota: cache calls; two fields of a dictionary count as one", minimum=0.001
    )
    max_caches: int = _setting(3, "soft quota: caches")
    max_item_bytes: int = _setting(5 * 1024 * 1024, "hard quota: size of a cache item with its key")
    max_element_bytes: int = _setting(128 * 1024, "hard quota: size of a dictionary field's value")
    max_cache_bytes: int = _setting(
        100 * 1024 * 1024, "soft quota: size of a cache; the least recently used items are evicted"
    )
    max_ttl_seconds: float = _setting(24 * 3600.0, "hard quota: time to live of a cache item", minimum=0.001)
    # 25 h in client-sdk-javascript and the protos; one page of the documentation says 1 h.
    max_token_seconds: int = _setting(25 * 3600, "hard quota: life of a disposable token", minimum=1)

    heartbeat_seconds: float = _setting(5.0, "time between heartbeats of a stream", minimum=0.01)
    heartbeats_silenced: bool = _switch("no heartbeats after the first")
    streams_frozen: bool = _switch("live streams stay open and transmit nothing, as half-open connections do")
    end_streams_at_expiry: bool = _switch("undocumented: end a stream when its token expires", on=True)
    first_discontinuity: bool = _switch("undocumented: send a discontinuity after the first heartbeat")
    end_slow_streams: bool = _switch("end the stream of a slow subscriber instead of skipping messages")
    down: bool = _switch("reject every call with UNAVAILABLE and abort live streams")
    keys_refused: bool = _switch("reject every API key with UNAUTHENTICATED, as if it were revoked")

    stream_buffer_messages: int = _setting(256, "messages waiting for one subscriber", minimum=1)
    history_messages: int = _setting(64, "messages that a topic keeps for subscribers that resume")
    max_history_bytes: int = _setting(64 * 1024 * 1024, "total size of the messages that the topics of a cache keep")
    max_topics: int = _setting(20_000, "topics without subscribers that a cache keeps")

    def as_json(self) -> dict[str, Any]:
        return {camel_case(each.name): getattr(self, each.name) for each in fields(self)}

    def change(self, values: Mapping[str, Any]) -> None:
        """Apply `values` (keys in camel case), all or none.

        :raises InvalidSettingsError: with every unknown key and every invalid value.
        """
        known = {camel_case(each.name): each for each in fields(self)}
        problems = [f"{key}: no such setting" for key in values if key not in known]
        problems += [
            f"{key}: {problem}"
            for key, value in values.items()
            if key in known and (problem := _problem(value, self._kind(known[key].name), known[key].metadata))
        ]
        if problems:
            raise InvalidSettingsError(problems)
        for key, value in values.items():
            setattr(self, known[key].name, self._kind(known[key].name)(value))

    def _kind(self, name: str) -> type:
        return type(getattr(self, name))


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _problem(value: object, kind: type, limits: Mapping[str, Any]) -> str | None:
    if kind is bool:
        return None if isinstance(value, bool) else "must be true or false"
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return "must be a number"
    if kind is int and not float(value).is_integer():
        return "must be a whole number"
    if not limits["minimum"] <= value <= limits["maximum"]:
        return f"must be between {limits['minimum']:g} and {limits['maximum']:g}"
    return None
