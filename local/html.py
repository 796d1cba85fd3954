"""HTML pages that the local stack's own servers render. Text is escaped; no page has a script."""

from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; --line: light-dark(#ccc, #444); }
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }
body.wide { max-width: 78rem; }
h1 { font-size: 1.6rem; margin-top: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.4rem 0.8rem 0.4rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; }
.code { font: 600 1.4rem/1.2 ui-monospace, monospace; letter-spacing: 0.1em; white-space: nowrap; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9rem; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin-bottom: 1.5rem; }
nav [aria-current] { color: inherit; font-weight: 600; text-decoration: none; }
pre { margin: 0.4rem 0 0; white-space: pre-wrap; }
dl { display: grid; gap: 0.2rem 1.25rem; grid-template-columns: max-content 1fr; }
dt { opacity: 0.75; }
dd { margin: 0; overflow-wrap: anywhere; }
time, .nowrap { white-space: nowrap; }
form { display: inline; }
.spaced { margin: 1rem 0; }
button { font: inherit; padding: 0.15rem 0.75rem; white-space: nowrap; }
.level-WARNING { color: light-dark(#8a5300, #ffc266); }
.level-ERROR, .level-CRITICAL { color: light-dark(#b00020, #ff9aa8); }
.notice { border-left: 0.25rem solid light-dark(#b00020, #ff9aa8); padding-left: 0.75rem; }
@media (max-width: 40rem) {
  table.cards tr { border-bottom: 1px solid var(--line); display: block; padding: 0.5rem 0; }
  table.cards tr:has(th) { display: none; }
  table.cards td { border: 0; display: grid; gap: 0.75rem; grid-template-columns: 7rem 1fr; padding: 0.1rem 0; }
  table.cards td { overflow-wrap: anywhere; }
  table.cards td::before { content: attr(data-label); opacity: 0.75; }
}
"""

_VOID = frozenset({"input", "link", "meta", "br"})


class Html(str):
    """Markup. Other text is escaped where it becomes a part of an element."""

    __slots__ = ()


Content = Html | str | int | None


def element(tag: str, /, *content: Content, **attributes: str | None) -> Html:
    """Render an element.

    :param attributes: `class_` and `data_label` are the attributes `class` and `data-label`; None omits one.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>" if tag in _VOID else f"<{tag}{given}>{joined(*content)}</{tag}>")


def joined(*content: Content) -> Html:
    """Render content one after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(str(part)) for part in content if part is not None))


def table(headings: Sequence[str], rows: Sequence[Sequence[Content]]) -> Html:
    """Render a table, which on a narrow screen shows each row as a card."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = (
        element("tr", *(element("td", cell, data_label=label) for label, cell in zip(headings, row, strict=True)))
        for row in rows
    )
    return element("table", head, *body, class_="cards")


def page(title: str, *content: Content, navigation: Html | None = None, refresh_seconds: int | None = None) -> str:
    """Render a whole page.

    :param navigation: links to the other pages of a view, whose pages are wide.
    :param refresh_seconds: after which time the page reloads itself.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("title", title),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/local.css"),
        element("meta", http_equiv="refresh", content=str(refresh_seconds)) if refresh_seconds else None,
    )
    body = element("body", navigation, element("h1", title), *content, class_="wide" if navigation else None)
    return f"<!doctype html>{element('html', head, body, lang='en')}\n"
