"""The two HTML pages that the server itself has: mails, and a start page."""

from collections.abc import Iterable
from datetime import datetime

from local.html import Html, element, joined, page, table
from local.page.mail import Mail

REFRESH_SECONDS = 2


def mail_page(mails: Iterable[Mail]) -> str:
    """Render the mails, newest first. The page reloads itself."""
    rows = [(element("span", mail.code, class_="code"), mail.to, _time(mail), _text(mail)) for mail in mails]
    none = element("p", "No mail yet. A code appears here shortly after a sign-up.")
    return page(
        "Mail",
        element("p", "The mails that Cognito would send. No mail leaves this machine."),
        table(("Code", "To", "When", "Mail"), rows) if rows else none,
        refresh_seconds=REFRESH_SECONDS,
    )


def _time(mail: Mail) -> Html:
    when = datetime.fromtimestamp(mail.time).astimezone()
    return element("time", f"{when:%H:%M:%S}", datetime=when.isoformat(timespec="seconds"))


def _text(mail: Mail) -> Html:
    return joined(mail.subject, element("br"), mail.text)


def start_page(api_url: str, *, has_dev_view: bool) -> str:
    """Render the page that is served until the browser application is built."""
    items = (
        (_link("/mail"), ": the codes that Cognito mails at sign-up"),
        *(
            [(_link("/dev"), ": the tasks, their log lines, dead letters and switches for faults")]
            if has_dev_view
            else []
        ),
        (_link("/config.json"), ": everything a client needs to know"),
        (element("code", f"GET {api_url}/token"), ": a disposable token for the user's own topic"),
        (element("code", f"POST {api_url}/task"), ": a task; its notification arrives on that topic"),
        (element("code", f"GET {api_url}/task/{{taskId}}"), ": the status of a task"),
    )
    return page(
        "notification-api",
        element("p", "The system is running. Try it in a second terminal:"),
        element("p", element("code", "make demo")),
        element("ul", *(element("li", *item) for item in items)),
        element(
            "p",
            *("To use the browser application, build it with ", element("code", "make frontend")),
            " (Node 20.19 or newer), then reload this page.",
        ),
    )


def _link(path: str) -> Html:
    return element("a", path, href=path)
