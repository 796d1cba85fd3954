"""The pages of docs/reference with their generated parts."""

import re
from pathlib import Path

from k8s.reference_pages.alerts import alerts
from k8s.reference_pages.chart_values import chart_values
from k8s.reference_pages.metrics import metrics
from k8s.reference_pages.settings import settings
from k8s.reference_pages.stage_fields import stage_fields

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/reference"
KINDS = {
    "metrics": metrics,
    "settings": settings,
    "values": chart_values,
    "alerts": alerts,
    "fields": stage_fields,
}
"""For each kind, what writes the Markdown of a name: a module, a service, a chart or a part of a Stage."""
_PART = re.compile(r"(<!-- generated (\w+) of (\S+) -->\n).*?\n?(<!-- end -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """Every page that has generated parts, with current ones."""
    texts = {path: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
    return {path: filled(text) for path, text in texts.items() if _PART.search(text)}


def filled(page: str) -> str:
    """The page with current parts.

    :raises KeyError: when a part is of no known kind or name.
    """
    return _PART.sub(lambda part: f"{part[1]}\n{KINDS[part[2]](part[3]).strip()}\n\n{part[4]}", page)
