"""The workloads, generated from a seed and the same for every policy."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

MEAN_TASK_SECONDS = 5.0
"""As the built-in handler takes."""
_SCALE_IN_SECONDS = 900.0
"""KEDA needs 300 s of stabilisation and up to 330 s of cooldown before its last pod is removed."""
_FIRST_AT = 60.0

Rate = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that arrives at `at` and takes `seconds` in its handler."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The tasks of a replay."""

    name: str
    title: str
    arrivals: tuple[Arrival, ...]
    """In order of time."""
    seconds: float
    """Length of the replay, enough for every policy to run all tasks and remove all pods."""
    outages: tuple[tuple[float, float], ...] = ()
    """(begin, end) of each time in which no policy can read anything."""

    def has_outage(self, now: float) -> bool:
        return any(begin <= now < end for begin, end in self.outages)


def typical_seconds(rng: random.Random) -> float:
    """Lognormal with a mean of 5 s and a standard deviation of half of it."""
    return _lognormal(rng, MEAN_TASK_SECONDS, sigma=math.sqrt(math.log(1.25)))


def heavy_tailed_seconds(rng: random.Random) -> float:
    """Lognormal with a mean of 5 s, of which half take under 1.6 s and one in a hundred over 53 s; 300 s at most."""
    return min(300.0, _lognormal(rng, MEAN_TASK_SECONDS, sigma=1.5))


def _lognormal(rng: random.Random, mean: float, sigma: float) -> float:
    return rng.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)


def _random_arrivals(rng: random.Random, rate: Rate, max_rate: float, until: float) -> list[float]:
    """A Poisson process with a changing rate, by thinning (Lewis and Shedler 1979)."""
    times, now = [], _FIRST_AT
    while (now := now + rng.expovariate(max_rate)) < until:
        if rng.random() * max_rate < rate(now - _FIRST_AT):
            times.append(now)
    return times


def _workload(
    rng: random.Random,
    name: str,
    title: str,
    times: list[float],
    task_seconds: Callable[[random.Random], float] = typical_seconds,
) -> Workload:
    arrivals = tuple(Arrival(at, task_seconds(rng)) for at in sorted(times))
    return Workload(name=name, title=title, arrivals=arrivals, seconds=arrivals[-1].at + _SCALE_IN_SECONDS)


def burst(rng: random.Random) -> Workload:
    times = [_FIRST_AT + rng.random() for _ in range(2_000)]
    return _workload(rng, "burst", "2,000 tasks within a second, from zero", times)


def steady(rng: random.Random) -> Workload:
    times = _random_arrivals(rng, lambda _: 8.0, 8.0, until=1_260.0)
    return _workload(rng, "steady", "8 tasks a second for 20 minutes", times)


def sine(rng: random.Random) -> Workload:
    times = _random_arrivals(rng, lambda t: 6 - 6 * math.cos(2 * math.pi * t / 600), 12.0, until=1_860.0)
    return _workload(rng, "sine", "0 to 12 tasks a second and back every 10 minutes", times)


def sparse(rng: random.Random) -> Workload:
    times = _random_arrivals(rng, lambda _: 1 / 60, 1 / 60, until=3_660.0)
    return _workload(rng, "sparse", "one task a minute, at random, for an hour", times)


def ramp(rng: random.Random) -> Workload:
    times = _random_arrivals(rng, lambda t: t / 900 * 20, 20.0, until=960.0)
    return _workload(rng, "ramp", "0 to 20 tasks a second within 15 minutes", times)


def heavy(rng: random.Random) -> Workload:
    times = _random_arrivals(rng, lambda _: 4.0, 4.0, until=1_260.0)
    return _workload(
        rng, "heavy_tailed", "4 tasks a second, most of them short and a few very long", times, heavy_tailed_seconds
    )


def outage(rng: random.Random) -> Workload:
    """The load doubles during an outage of the metrics and stays so after it."""
    times = _random_arrivals(rng, lambda t: 8.0 if 360 <= t < 960 else 4.0, 8.0, until=1_260.0)
    plain = _workload(rng, "outage", "metrics unreadable for 2 minutes, in which the load doubles", times)
    return Workload(
        name=plain.name, title=plain.title, arrivals=plain.arrivals, seconds=plain.seconds, outages=((390.0, 510.0),)
    )


ALL: tuple[Callable[[random.Random], Workload], ...] = (burst, steady, sine, sparse, ramp, heavy, outage)
