"""What the documentation site does besides building pages (`hooks` of mkdocs.yml).

- Pages link to files of the repository that are not in the site, such as examples. There, the path is shown instead.
- openapi.yaml and asyncapi.yaml become pages of their own, in the navigation below "API", with a link back.
"""

import json
import os
import posixpath
import re
import subprocess
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.nav import Link, Navigation, Section
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = {
    "reference/openapi.html": ("HTTP API, all routes (OpenAPI)", "reference/openapi.yaml"),
    "reference/asyncapi.html": ("Messages of the topic (AsyncAPI)", "reference/asyncapi.yaml"),
}
"""The page of each contract, with its title and source."""
_LINK = re.compile(r"(?<!!)\[([^]]+)\]\((\.\.[^)#\s]*)(?:#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
# Redoc shows its maker's logo, from there. Without the address it shows none; the link beside it is hidden.
_LOGO = re.compile(r"https://cdn\.redoc\.ly/redoc/logo-mini[\w-]*\.svg")
_STYLE = (
    '<link rel="icon" href="data:,"><style>a[href="https://redocly.com/redoc/"] { display: none }'
    " .back { padding: 0.75rem 1rem; font-family: sans-serif }"
    " @media (max-width: 30rem) { h1 { font-size: 1.6rem !important } }</style></head>"
)
_BACK = '<body><nav class="back"><a href="http-api.html">Back to the documentation</a></nav>'


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Replace links that leave the documentation; code stays as it is."""
    folder = posixpath.dirname(page.file.src_uri)
    return "".join(
        part if number % 2 else _LINK.sub(lambda link: _inside(link, folder), part)
        for number, part in enumerate(_FENCE.split(markdown))
    )


def _inside(link: re.Match[str], folder: str) -> str:
    path = posixpath.normpath(posixpath.join("docs", folder, link[2]))
    if path.startswith("docs/"):
        return link[0]
    return f"`{path}`" if link[1].strip("`/") in path else f"{link[1]} (`{path}`)"


def on_nav(nav: Navigation, **_: object) -> Navigation:
    """Add the pages of the contracts below "API"."""
    (reference,) = (item for item in nav.items if isinstance(item, Section) and item.title == "Reference")
    (api,) = (item for item in reference.children if isinstance(item, Section) and item.title == "API")
    for url, (title, _source) in CONTRACTS.items():
        link = Link(title, url)
        link.parent = api
        api.children.append(link)
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    """Write the pages of the contracts."""
    for url, (title, source) in CONTRACTS.items():
        target = Path(config.site_dir, url)
        _render(Path(config.docs_dir, source), target, title)
        text = _LOGO.sub("data:,", target.read_text())
        target.write_text(text.replace("</head>", _STYLE, 1).replace("<body>", _BACK, 1))


def _render(source: Path, target: Path, title: str) -> None:
    command = ["npx", "redocly", "build-docs", str(source), "--inlineBundle", "--title", title, "-o", str(target)]
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PluginError(f"{source} cannot be rendered: {json.dumps(done.stderr[-2_000:])}")
