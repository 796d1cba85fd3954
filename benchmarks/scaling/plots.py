"""A picture of a workload as SVG: the backlog and the replicas over time, one line a policy."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.scaling.simulator.figures import Replay
from benchmarks.scaling.simulator.world import Workload

COLOURS = {"ours": "#0a6e4f", "keda": "#c2410c", "lambda": "#6b7280"}
_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 720, 150, 56, 44, 34
_PLOT = _WIDTH - _LEFT - 16
_FONT = 'font-family="system-ui, sans-serif" font-size="12" fill="#374151"'
_POINTS = 300

Series = Sequence[tuple[float, int]]


def picture(workload: Workload, replays: Mapping[str, Replay]) -> str:
    """Draw it."""
    height = _TOP + 2 * (_PANEL + _GAP)
    backlogs = {name: replay.account.backlog for name, replay in replays.items()}
    replicas = {name: replay.account.replicas for name, replay in replays.items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{workload.title}: backlog and replicas over time</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" {_FONT} font-weight="600">{workload.title}</text>',
        *_legend(replays),
        *_panel("tasks waiting", backlogs, workload, _TOP),
        *_panel("replicas", replicas, workload, _TOP + _PANEL + _GAP),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(names: Iterable[str]) -> Iterable[str]:
    for place, name in enumerate(names):
        x = _LEFT + 90 * place
        yield f'<path d="M{x} 32h22" stroke="{COLOURS[name]}" stroke-width="2"/>'
        yield f'<text x="{x + 28}" y="36" {_FONT}>{name}</text>'


def _panel(what: str, series: Mapping[str, Series], workload: Workload, top: int) -> Iterable[str]:
    most = _round_up(max(max(value for _, value in points) for points in series.values()))
    bottom = top + _PANEL
    for begins, ends in workload.outages:
        x, width = _x(begins, workload), _PLOT * (ends - begins) / workload.seconds
        yield f'<rect x="{x:.0f}" y="{top}" width="{width:.0f}" height="{_PANEL}" fill="#fde68a"/>'
    yield f'<path d="M{_LEFT} {top}V{bottom}H{_LEFT + _PLOT}" stroke="#9ca3af" fill="none"/>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" {_FONT} text-anchor="end">{most:,}</text>'
    yield f'<text x="{_LEFT - 6}" y="{bottom}" {_FONT} text-anchor="end">0</text>'
    yield f'<text x="{_LEFT + _PLOT}" y="{top + 10}" {_FONT} text-anchor="end">{what}</text>'
    yield f'<text x="{_LEFT + _PLOT}" y="{bottom + 15}" {_FONT} text-anchor="end">{workload.seconds:.0f} s</text>'
    for name, points in series.items():
        yield f'<path d="{_line(points, most, workload, bottom)}" stroke="{COLOURS[name]}" fill="none"/>'


def _line(points: Series, most: int, workload: Workload, bottom: int) -> str:
    """Steps, at most `_POINTS` of them: each shows the most of its share of the time."""
    heights, last, position = [], 0, 0
    for step in range(_POINTS):
        until, highest = (step + 1) * workload.seconds / _POINTS, last
        while position < len(points) and points[position][0] < until:
            last = points[position][1]
            highest = max(highest, last)
            position += 1
        heights.append(highest)
    width = _PLOT / _POINTS
    path, before = [f"M{_LEFT} {bottom}"], None
    for step, value in enumerate(heights):
        if value != before:
            path.append(f"H{_LEFT + step * width:.1f}V{bottom - _PANEL * value / most:.1f}")
        before = value
    return "".join([*path, f"H{_LEFT + _PLOT}"])


def _x(seconds: float, workload: Workload) -> float:
    return _LEFT + _PLOT * seconds / workload.seconds


def _round_up(value: int) -> int:
    """To the next 1, 2 or 5 times a power of ten."""
    power: int = 10 ** (len(str(max(1, value))) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
