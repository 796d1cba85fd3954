"""Graphs, heat maps and numbers as pieces of SVG."""

from collections.abc import Mapping, Sequence
from html import escape

from k8s.dashboards.units import axis, readable

COLOURS = ("#2f6fb7", "#d9822b", "#3a9a5b", "#b5413c", "#7a5bb0", "#7d7d7d", "#c2a01d", "#2b9bb0")
MOST_LEGENDS = 6

Points = Sequence[tuple[float, float]]
"""Times and values."""


def number(drawn: Mapping[str, Points], unit: str, width: int, height: int) -> str:
    """The last value, large."""
    text = next((readable(points[-1][1], unit) for points in drawn.values() if points), "no data")
    return f'<text x="{width // 2}" y="{height // 2 + 22}" font-size="26" text-anchor="middle">{text}</text>'


def graph(drawn: Mapping[str, Points], unit: str, width: int, height: int) -> str:
    """Lines over time, with a legend below."""
    all_points = [point for points in drawn.values() for point in points]
    if not all_points:
        return f'<text x="{width // 2}" y="{height // 2}" text-anchor="middle" fill="#b5413c">no data</text>'
    left, top, right, bottom = 58, 26, width - 10, height - 34
    start, end = min(at for at, _ in all_points), max(at for at, _ in all_points)
    steps = axis(max(value for _, value in all_points), unit)

    def place(point: tuple[float, float]) -> str:
        across = (point[0] - start) / ((end - start) or 1)
        return f"{left + across * (right - left):.1f},{bottom - point[1] / steps[-1] * (bottom - top):.1f}"

    parts = []
    for step in steps:
        line = bottom - step / steps[-1] * (bottom - top)
        parts.append(f'<path d="M{left} {line:.1f}H{right}" stroke="#e3e5e8"/>')
        parts.append(
            f'<text x="{left - 5}" y="{line + 4:.1f}" font-size="10" text-anchor="end">{readable(step, unit)}</text>'
        )
    for number, (legend, points) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<polyline points="{" ".join(map(place, points))}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
        if number < MOST_LEGENDS:
            at = left + number * (right - left) / min(len(drawn), MOST_LEGENDS)
            parts.append(f'<text x="{at:.0f}" y="{height - 12}" font-size="10" fill="{colour}">{escape(legend)}</text>')
    return "".join(parts)


def heat(drawn: Mapping[str, Points], unit: str, width: int, height: int) -> str:
    """Buckets as rows: what is in each is what it has more than the one below."""
    bounds = sorted((bound for bound in drawn if bound != "+Inf"), key=float)
    left, top, right, bottom = 58, 26, width - 10, height - 14
    row = (bottom - top) / max(1, len(bounds))
    cells = []
    below: dict[float, float] = {}
    for number, bound in enumerate(bounds):
        here = dict(drawn[bound])
        cells += [(number, at, max(0.0, value - below.get(at, 0.0))) for at, value in here.items()]
        below = here
    most = max((value for _, _, value in cells), default=0.0) or 1.0
    times = sorted({at for _, at, _ in cells})
    across = (right - left) / max(1, len(times))
    place = {at: left + number * across for number, at in enumerate(times)}
    parts = [
        f'<rect x="{place[at]:.1f}" y="{bottom - (number + 1) * row:.1f}" width="{across:.1f}" height="{row:.1f}" '
        f'fill="#2f6fb7" opacity="{value / most:.2f}"/>'
        for number, at, value in cells
        if value / most >= 0.01
    ]
    parts += [
        f'<text x="{left - 5}" y="{bottom - number * row:.0f}" font-size="10" text-anchor="end">'
        f"{readable(float(bound), unit)}</text>"
        for number, bound in enumerate(bounds, start=1)
        if number % 2 == 0
    ]
    return "".join(parts)


def stacked(drawn: Mapping[str, Points]) -> dict[str, Points]:
    """Each series upon those before it."""
    below: dict[float, float] = {}
    stacked: dict[str, Points] = {}
    for legend, points in drawn.items():
        stacked[legend] = [(at, value + below.get(at, 0.0)) for at, value in points]
        below |= dict(stacked[legend])
    return stacked
