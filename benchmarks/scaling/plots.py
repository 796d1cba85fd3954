"""Draws the backlog and the replicas of a workload over time, one line for each policy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scaling.simulator.results import Replay
from benchmarks.scaling.simulator.workloads import Workload

COLOURS = {"operator": "#0a6e4f", "keda": "#c2410c", "lambda": "#6b7280"}
OUTAGE_COLOUR = "#fde68a"
STEPS = 300

Points = Sequence[tuple[float, int]]


def draw_replays(workload: Workload, replays: Mapping[str, Replay], path: Path) -> None:
    """Write a picture as SVG."""
    # Without a hash salt and with a date, the same replay would give another file each time.
    with mpl.rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        top, bottom = figure.subplots(2, sharex=True)
        _draw_panel(top, "waiting tasks", {name: each.recording.backlog for name, each in replays.items()}, workload)
        _draw_panel(bottom, "replicas", {name: each.recording.replicas for name, each in replays.items()}, workload)
        top.set_title(workload.title, loc="left", weight="bold")
        top.legend(frameon=False, ncols=len(replays), loc="upper right")
        bottom.set_xlabel("seconds")
        figure.savefig(path, format="svg", metadata={"Date": None, "Title": workload.title})


def _draw_panel(axes: Axes, label: str, series: Mapping[str, Points], workload: Workload) -> None:
    for begin, end in workload.outages:
        axes.axvspan(begin, end, color=OUTAGE_COLOUR, linewidth=0)
    times = [step * workload.seconds / STEPS for step in range(STEPS)]
    for name, points in series.items():
        axes.step(times, maxima(points, workload.seconds), where="post", color=COLOURS[name], linewidth=1.2, label=name)
    axes.set_ylabel(label)
    axes.set_xlim(0, workload.seconds)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def maxima(points: Points, seconds: float) -> list[int]:
    """The largest value within each of `STEPS` equal parts of the time, so that no peak is lost.

    :param points: (time, value from then on), in order of time.
    """
    values, latest, position = [], 0, 0
    for step in range(STEPS):
        until, largest = (step + 1) * seconds / STEPS, latest
        while position < len(points) and points[position][0] < until:
            latest = points[position][1]
            largest = max(largest, latest)
            position += 1
        values.append(largest)
    return values
