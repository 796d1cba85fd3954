"""The mails that Cognito would send, as the emulated AWS keeps them."""

import re
from dataclasses import dataclass
from typing import Any

import aiohttp

ANSWER_WITHIN_SECONDS = 3.0
KEPT = 200
"""The newest this many are shown."""
_CODE = re.compile(r"\b\d{6}\b")


class MailsUnavailableError(Exception):
    """The emulated AWS did not list its mails, or not in the form that is known."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail; `time` in epoch seconds; `code` is empty when the text has none."""

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
    """The newest mails first, read anew from the emulated AWS with each `refresh`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.mails: list[Mail] = []

    async def refresh(self) -> list[Mail]:
        """Read again and give those that are new, oldest first; MailsUnavailableError when that fails."""
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
        # Compared and replaced without an await between, so that of two callers only one gets a mail as new.
        self.mails = mails
        return [mail for mail in reversed(mails) if mail.id not in known]

    async def _fetch(self) -> Any:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_SECONDS)
        async with self._session.get(
            self._url, headers=self._headers, timeout=timeout, raise_for_status=True
        ) as response:
            return await response.json()


def parse(listed: Any) -> list[Mail]:
    """The newest mails first; accounts do not matter here. Raises what a strange form leads to."""
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
    return sorted(mails, key=lambda mail: mail.time, reverse=True)[:KEPT]


def printable(text: str) -> str:
    """For a terminal: an address is what a stranger typed, and may hold escape sequences."""
    return "".join(character if character.isprintable() else "?" for character in text)
