"""PromQL that panels and recording rules share. Panels select the dashboard's namespace and stage."""

from dataclasses import dataclass

PREFIX = "notification_api_"
OBJECTIVE_SECONDS = "30.0"
"""The SLO's threshold. It is a bound of the histogram's buckets, in the notation of their label `le`."""


def increase_since_start(counter: str, window: str, separator: str = " ") -> str:
    """How much a counter has grown within `window`, each series by itself.

    A series that started within the window counts by its value, since `increase` is empty before its second scrape.
    It has started if it did not exist in the hour before the window, so that after an outage of Prometheus no series
    counts as new.
    """
    started = f"max_over_time({counter}[{window}])"
    existed = f"last_over_time({counter}[1h] offset {window})"
    return f"{started}{separator}unless {existed}{separator}or increase({counter}[{window}])"


@dataclass(frozen=True, slots=True)
class Scope:
    """The stages that a dashboard shows: label matchers, and the labels that its sums keep."""

    matchers: str
    by: tuple[str, ...] = ()

    def select(self, metric: str, *more: str) -> str:
        """A selector with further matchers. `metric` is without this project's prefix; others are named in full."""
        full = metric if metric.startswith(("process_", "up", "notification_api")) else PREFIX + metric
        return f"{full}{{{','.join([self.matchers, *more])}}}"

    def total(self, inner: str, *by: str) -> str:
        """The sum by this scope's labels and `by`."""
        kept = ", ".join([*self.by, *by])
        return f"sum by ({kept}) ({inner})" if kept else f"sum({inner})"

    def rate(self, metric: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """A counter's growth per second."""
        return self.total(f"rate({self.select(metric, *where)}[$__rate_interval])", *by)

    def increase(self, metric: str, *by: str, where: tuple[str, ...] = (), window: str = "$__rate_interval") -> str:
        """A counter's growth within `window`, with series that started within it."""
        return self.total(increase_since_start(self.select(metric, *where), window), *by)

    def rare_rate(self, metric: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """As `rate`, for rare events: it shows the first one of a pod too."""
        return f"{self.increase(metric, *by, where=where)} / ($__rate_interval_ms / 1000)"

    def error_rate(self, metric: str, *by: str) -> str:
        """Failed calls per second; zero where there are calls and none fails."""
        failed = self.rare_rate(metric, *by, where=('outcome="error"',))
        return f"{failed} or 0 * {self.rate(metric, *by)}"

    def quantile(self, share: float, histogram: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """The value that `share` of the observations do not exceed."""
        buckets = self.increase(f"{histogram}_bucket", "le", *by, where=where)
        return f"histogram_quantile({share}, {buckets})"

    def mean(self, histogram: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """The mean of the observations."""
        parts = (self.increase(f"{histogram}_{part}", *by, where=where) for part in ("sum", "count"))
        return " / ".join(parts)

    def share_on_time(self, window: str) -> str:
        """The share of tasks whose user was notified within the objective."""
        on_time = self.increase("end_to_end_seconds_bucket", where=(f'le="{OBJECTIVE_SECONDS}"',), window=window)
        return f"{on_time} / {self.increase('end_to_end_seconds_count', window=window)}"


ONE_STAGE = Scope('namespace="$namespace",stage="$stage"')
ALL_STAGES = Scope('namespace=~"$namespace",stage=~"$stage"', by=("namespace", "stage"))
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def or_zero(query: str) -> str:
    """Draw a line at zero where such a series has never existed, since an empty panel would seem broken."""
    return f"{query} or on() vector(0)"
