"""The mails that Cognito would send, read from the emulated AWS."""

import re
from dataclasses import dataclass
from typing import Any

import aiohttp

READ_TIMEOUT_SECONDS = 3.0
MAX_MAILS = 200
"""Only the newest mails are shown."""
_CODE = re.compile(r"\b\d{6}\b")


class MailsUnavailableError(Exception):
    """The emulated AWS did not list its mails, or in an unknown format."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `time` is in epoch seconds; `code` is empty when the text has none."""

    id: str
    to: str
    subject: str
    text: str
    time: float

    @property
    def code(self) -> str:
        found = _CODE.search(self.text)
        return found.group() if found else ""


class Mailbox:
    """The mails of the emulated AWS, newest first, as of the last `refresh`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.mails: list[Mail] = []

    async def refresh(self) -> list[Mail]:
        """Read the mails and return the new ones, oldest first.

        :raises MailsUnavailableError: when they cannot be read.
        """
        try:
            mails = parse(await self._fetch())
        except (
            aiohttp.ClientError,
            TimeoutError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise MailsUnavailableError(f"{type(error).__name__}: {error}") from error
        known = {mail.id for mail in self.mails}
        # No await in between, so that only one of two callers gets a mail as new.
        self.mails = mails
        return [mail for mail in reversed(mails) if mail.id not in known]

    async def _fetch(self) -> Any:
        timeout = aiohttp.ClientTimeout(total=READ_TIMEOUT_SECONDS)
        async with self._session.get(
            self._url, headers=self._headers, timeout=timeout, raise_for_status=True
        ) as response:
            return await response.json()


def parse(listed: Any) -> list[Mail]:
    """Read MiniStack's list of mails of all accounts, newest first. An unknown format raises various errors."""
    mails = [
        Mail(
            id=str(record["MessageId"]),
            to=", ".join(record["To"]),
            subject=str(record["Subject"]),
            text=str(record["BodyText"] or record["BodyHtml"] or ""),
            time=float(record["Timestamp"]),
        )
        for records in listed["messages"].values()
        for record in records
    ]
    return sorted(mails, key=lambda mail: mail.time, reverse=True)[:MAX_MAILS]


def printable(text: str) -> str:
    """Replace control characters: an address is typed by a stranger and may have escape sequences."""
    return "".join(character if character.isprintable() else "?" for character in text)
