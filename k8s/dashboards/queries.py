"""PromQL that several panels share. Every selector is bound to the dashboard's namespace and stage."""

from dataclasses import dataclass

PREFIX = "notification_api_"
OBJECTIVE_SECONDS = "30.0"
"""As in charts/notification-api/rules/slo.yaml; a bound of the histogram's buckets, as they write it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which stages a dashboard looks at: matchers, and the labels that its sums keep."""

    matchers: str
    by: tuple[str, ...] = ()

    def select(self, metric: str, *more: str) -> str:
        """Return a selector; `metric` is without our prefix unless it is not ours."""
        full = metric if metric.startswith(("process_", "up", "notification_api")) else PREFIX + metric
        return f"{full}{{{','.join([self.matchers, *more])}}}"

    def total(self, inner: str, *by: str) -> str:
        """Sum up, keeping this dashboard's labels and `by`."""
        kept = ", ".join([*self.by, *by])
        return f"sum by ({kept}) ({inner})" if kept else f"sum({inner})"

    def rate(self, metric: str, *by: str, where: tuple[str, ...] = (), window: str = "$__rate_interval") -> str:
        """Return how much a counter grows a second."""
        return self.total(f"rate({self.select(metric, *where)}[{window}])", *by)

    def growth(self, metric: str, *by: str, where: tuple[str, ...] = (), window: str = "$__rate_interval") -> str:
        """Return how much a counter grows within `window`.

        One that was born within it counts by what it says, since it has no increase before its second scrape; born is
        what was not there in the hour before, so that a Prometheus that was away takes nothing for new.
        """
        counter = self.select(metric, *where)
        born = f"max_over_time({counter}[{window}]) unless last_over_time({counter}[1h] offset {window})"
        return self.total(f"{born} or increase({counter}[{window}])", *by)

    def seldom(self, metric: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """Return how much a counter grows a second, where each one matters, also the first of a pod's life."""
        return f"{self.growth(metric, *by, where=where)} / ($__rate_interval_ms / 1000)"

    def quantile(self, share: float, histogram: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """Return the value that `share` of the observations stay below."""
        buckets = self.growth(f"{histogram}_bucket", "le", *by, where=where)
        return f"histogram_quantile({share}, {buckets})"

    def mean(self, histogram: str, *by: str, where: tuple[str, ...] = ()) -> str:
        """Return the mean of the observations."""
        parts = (self.growth(f"{histogram}_{part}", *by, where=where) for part in ("sum", "count"))
        return " / ".join(parts)

    def in_time(self, window: str) -> str:
        """Return the share of tasks that were told within the objective."""
        good = self.growth("end_to_end_seconds_bucket", where=(f'le="{OBJECTIVE_SECONDS}"',), window=window)
        return f"{good} / {self.growth('end_to_end_seconds_count', window=window)}"


HERE = Scope('namespace="$namespace",stage="$stage"')
"""The one stage that the reader has chosen."""
SHARES = {"half below": 0.5, "95 % below": 0.95, "99 % below": 0.99}


def or_none(query: str) -> str:
    """Draw a line at zero where nothing of the kind has ever happened, so that silence is told from a broken panel."""
    return f"{query} or on() vector(0)"


def errors(scope: Scope, metric: str, *by: str) -> str:
    """Return failed calls a second, zero where all went well."""
    failed = scope.seldom(metric, *by, where=('outcome="error"',))
    return f"{failed} or 0 * {scope.rate(metric, *by)}"
