"""How many tasks a processor runs at once, as the pods of its newest revision report.

Limits of task types make the number depend on the tasks that a pod has, so it changes and differs between pods.
"""

from collections.abc import Mapping, Sequence

from k8s.operator.api.scrape import Scraped
from k8s.operator.api.workloads import Pod


class ReportedSlots:
    """The mean of the slots that pods of the newest revision report. Older revisions may have other settings."""

    def __init__(self) -> None:
        self._revision: str | None = None
        self._slots: int | None = None

    @property
    def of_newest_revision(self) -> int | None:
        """At least 1; None if none of its pods has reported them."""
        return self._slots

    def update(self, pods: Sequence[Pod], scraped: Mapping[str, Scraped], *, has_current_pods: bool) -> None:
        """Read the slots from the answers of the pods that are not terminating. A missing answer changes nothing."""
        newest = newest_revision(pods) if has_current_pods else None
        if newest is None or newest != self._revision:
            self._revision, self._slots = newest, None
        samples = [scraped[pod.name].sample for pod in pods if pod.revision == newest and pod.name in scraped]
        reported = [sample[("slots", ())] for sample in samples if sample and ("slots", ()) in sample]
        self._slots = max(1, int(sum(reported) / len(reported))) if reported else self._slots


def newest_revision(pods: Sequence[Pod]) -> str | None:
    """The revision whose oldest pod is the youngest. Scaling during a rollout creates pods of the older one, too."""
    oldest: dict[str, str] = {}
    for pod in pods:
        oldest[pod.revision] = min(oldest.get(pod.revision, pod.created_at), pod.created_at)
    return max(oldest, key=lambda revision: oldest[revision]) if oldest else None
