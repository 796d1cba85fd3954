"""The cursor of `GET /notifications`: it names the entries that existed when it was handed out.

A cursor that held a moment or a position would skip an entry that is written late, or with a clock that is behind.
A set skips nothing, whatever the clocks of the pods say.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from services.common.messages.notification import Notification

MAX_CURSOR_CHARACTERS = 6_000
"""Proxies take URLs of 8 kB."""
DIGEST_BYTES = 6
"""200 entries make 1,603 characters, 700 make 5,603. A new entry is taken for one of 200 known ones with a chance of
1 in 10^12."""

_PREFIX = "c1."
_EPOCH_MS = re.compile(r"[0-9]{1,15}")
_OTHER_VERSION = re.compile(r"c[0-9]{1,3}\.[A-Za-z0-9_.~-]*")


class NotACursorError(ValueError):
    """The text is no cursor that this service has handed out."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The digests of the entries that a client has been given."""

    digests: frozenset[bytes] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor from a request.

        An empty text, the epoch milliseconds that clients of earlier versions send, and the cursor of another version
        all mean "from the beginning": a client drops the notifications that it has seen.

        :raises NotACursorError: for any other text.
        """
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise NotACursorError
        if text.startswith(_PREFIX):
            return cls(frozenset(_digests(text.removeprefix(_PREFIX))))
        if not text or _EPOCH_MS.fullmatch(text) or _OTHER_VERSION.fullmatch(text):
            return cls()
        raise NotACursorError

    def __str__(self) -> str:
        return _PREFIX + urlsafe_b64encode(b"".join(sorted(self.digests))).decode().rstrip("=")


def digest(notification: Notification) -> bytes:
    """Return what identifies a history entry; the same notification written again is the same entry."""
    parts = [notification.task_id, notification.status.value, notification.message, notification.time_ms]
    return blake2b(orjson.dumps(parts), digest_size=DIGEST_BYTES).digest()


def _digests(text: str) -> list[bytes]:
    try:
        joined = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise NotACursorError from None
    # The standard decoder ignores foreign characters and spare bits.
    if len(joined) % DIGEST_BYTES or urlsafe_b64encode(joined).decode().rstrip("=") != text:
        raise NotACursorError
    return [joined[start : start + DIGEST_BYTES] for start in range(0, len(joined), DIGEST_BYTES)]
