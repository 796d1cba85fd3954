"""Where a subscription starts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Begin at message `sequence`; `missing`, if set, is the range to tell a discontinuity of: after, up to."""

    sequence: int
    missing: tuple[int, int] | None = None


def start_of(resume_at: int, page: int, *, topic_page: int, oldest: int, newest: int) -> Start:
    """Decide where to start a subscriber that asks for message `resume_at` of `page`.

    `resume_at` 0 means the newest messages only; `page` 0 means that the subscriber knows none (older web SDKs).
    The topic has kept `oldest` to `newest`, both included; `oldest` is `newest + 1` if it has kept nothing.
    """
    if resume_at == 0:
        return Start(newest + 1)
    another_page = page not in (0, topic_page)
    # A number yet to come can only be of an earlier life of the topic.
    if another_page or resume_at > newest + 1 or resume_at < oldest:
        return Start(oldest, missing=(resume_at - 1, oldest - 1))
    return Start(resume_at)
