"""Numbers with their units, and axes with round steps, for pictures."""

import math

_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def readable(value: float, unit: str) -> str:
    """Return `value` as Grafana would show it, more or less."""
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return f"{value / 2**20:.4g} MiB"
    return _short(value) + {"reqps": "/s", "ops": "/s"}.get(unit, "")


def axis(highest: float, unit: str = "short") -> list[float]:
    """Return four to six round steps from zero to at least `highest`."""
    if unit == "bytes":
        return [step * 2**20 for step in axis(highest / 2**20)]
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(highest / step * 0.999) + 1)]


def _seconds(value: float) -> str:
    if value >= 86_400:
        return f"{value / 86_400:.3g} d"
    if value >= 120:
        return f"{value / 60:.3g} min"
    return f"{value:.3g} s" if value >= 1 or not value else f"{value * 1000:.3g} ms"


def _short(value: float) -> str:
    for size, letter in _LARGE:
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
