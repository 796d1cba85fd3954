"""How many tasks a processor works on at once, as those of the current revision say."""

from collections.abc import Mapping, Sequence

from k8s.operator.api.scrape import Scraped
from k8s.operator.api.workloads import Pod


class Slots:
    """What the pods of the newest revision say, while there are any. Those of an older one may have other settings."""

    def __init__(self) -> None:
        self._revision: str | None = None
        self._slots: int | None = None

    @property
    def of_current_revision(self) -> int | None:
        """None where no pod of it has said so."""
        return self._slots

    def see(self, pods: Sequence[Pod], scraped: Mapping[str, Scraped], *, has_current_pods: bool) -> None:
        """Take in the processors that stay, and what they answered. One that does not answer changes nothing."""
        newest = newest_revision(pods) if has_current_pods else None
        if newest is None or newest != self._revision:
            self._revision, self._slots = newest, None
        current = [scraped[pod.name].sample for pod in pods if pod.revision == newest and pod.name in scraped]
        told = [int(sample[("slots", ())]) for sample in current if sample and ("slots", ()) in sample]
        self._slots = min(told) if told else self._slots


def newest_revision(pods: Sequence[Pod]) -> str | None:
    """That of which the oldest pod is the youngest: a rollout that is scaled makes pods of the older one, too."""
    oldest: dict[str, str] = {}
    for pod in pods:
        oldest[pod.revision] = min(oldest.get(pod.revision, pod.created_at), pod.created_at)
    return max(oldest, key=lambda revision: oldest[revision]) if oldest else None
