"""The cursor of `GET /notifications`: the set of the entries that the client has read.

A time or a position would skip an entry that is written late or by a pod whose clock is behind. A set skips nothing.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from services.common.messages.notification import Notification

MAX_CURSOR_CHARACTERS = 6_000
"""Proxies accept URLs of 8 kB."""
DIGEST_BYTES = 6
"""200 entries need 1,603 characters, 700 need 5,603. The chance that a new entry collides with one of 200 is 1 in
10^12."""

_PREFIX = "c1."
_EPOCH_MS = re.compile(r"[0-9]{1,15}")
_OTHER_VERSION = re.compile(r"c[0-9]{1,3}\.[A-Za-z0-9_.~-]*")


class NotACursorError(ValueError):
    """The text is not a cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The digests of the entries that a client has read."""

    digests: frozenset[bytes] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse a cursor from a request.

        An empty text, epoch milliseconds (sent by clients of earlier versions) and the cursor of another version mean
        "from the beginning"; clients drop the notifications that they have seen.

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
    """Return the identity of a history entry. The same notification, written again, is the same entry."""
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
