"""The two HTML pages that the server itself has: mails, and a start page. No scripts."""

from collections.abc import Iterable
from datetime import datetime
from html import escape

from local.page.mail import Mail

REFRESH_SECONDS = 2

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid; padding: 0.4rem 0.8rem 0.4rem 0; text-align: left; }
td { overflow-wrap: anywhere; }
.code { font: 600 1.4rem/1.2 ui-monospace, monospace; letter-spacing: 0.1em; white-space: nowrap; }
code { font-family: ui-monospace, monospace; }
"""


def mail_page(mails: Iterable[Mail]) -> str:
    """Render the mails, newest first. The page reloads itself."""
    rows = "".join(_row(mail) for mail in mails)
    table = f"<table><tr><th>Code</th><th>To</th><th>When</th><th>Mail</th></tr>{rows}</table>"
    body = table if rows else "<p>No mail yet. A code appears here shortly after a sign-up.</p>"
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
    return _page("Mail", f"<p>The mails that Cognito would send. No mail leaves this machine.</p>{body}", refresh)


def _row(mail: Mail) -> str:
    when = datetime.fromtimestamp(mail.time).astimezone()
    return (
        f'<tr><td class="code">{escape(mail.code)}</td><td>{escape(mail.to)}</td>'
        f'<td><time datetime="{when.isoformat(timespec="seconds")}">{when:%H:%M:%S}</time></td>'
        f"<td>{escape(mail.subject)}<br>{escape(mail.text)}</td></tr>"
    )


def start_page(token_url: str, task_url: str) -> str:
    """Render the page that is served until the browser application is built."""
    return _page(
        "notification-api",
        "<p>The system is running. Try it in a second terminal:</p><p><code>make demo</code></p><ul>"
        '<li><a href="/mail">/mail</a>: the codes that Cognito mails at sign-up</li>'
        '<li><a href="/config.json">/config.json</a>: everything a client needs to know</li>'
        f"<li><code>GET {escape(token_url)}/token</code>: a disposable token for the user's own topic</li>"
        f"<li><code>POST {escape(task_url)}/task</code>: a task; its notification arrives on that topic</li>"
        f"<li><code>GET {escape(token_url)}/task/{{taskId}}</code>: the status of a task</li></ul>"
        "<p>To use the browser application, build it with <code>make frontend</code> (Node 20.19 or newer), "
        "then reload this page.</p>",
    )


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/local.css">{head}</head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
