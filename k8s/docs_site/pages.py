"""The pages of docs/ with their generated parts."""

import re
from pathlib import Path

from k8s.docs_site.alerts import alerts
from k8s.docs_site.chart_values import chart_values
from k8s.docs_site.metrics import metrics
from k8s.docs_site.python_api import python_api
from k8s.docs_site.settings import settings
from k8s.docs_site.stage_fields import stage_fields

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs"
LANGUAGES = {".py": "python", ".ts": "ts", ".tsx": "tsx", ".vue": "vue"}
_PART = re.compile(r"(<!-- generated (\w+) of (\S+) -->\n).*?\n?(<!-- end -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """Every page that has generated parts, with current ones."""
    texts = {path: path.read_text() for path in sorted(FOLDER.rglob("*.md"))}
    return {path: filled(text) for path, text in texts.items() if _PART.search(text)}


def filled(page: str) -> str:
    """The page with current parts.

    :raises KeyError: when a part is of no known kind or name.
    """
    return _PART.sub(lambda part: f"{part[1]}\n{KINDS[part[2]](part[3]).strip()}\n\n{part[4]}", page)


def source_file(path: str) -> str:
    """A file of an example as a block of code, with its path as seen from the clone of the repository beside it."""
    file = ROOT / path
    title = Path("../my-app", *Path(path).parts[2:])
    return f'```{LANGUAGES[file.suffix]} title="{title}"\n{file.read_text().rstrip()}\n```'


KINDS = {
    "metrics": metrics,
    "settings": settings,
    "values": chart_values,
    "alerts": alerts,
    "fields": stage_fields,
    "file": source_file,
    "api": python_api,
}
"""For each kind, what writes the Markdown of a name: a module, a service, a chart, a part of a Stage, or a path."""
