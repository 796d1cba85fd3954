"""Links of a page that leave the documentation are shown as paths."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from k8s.docs_site.hooks import on_page_markdown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("see [Security](../explanation/security.md#x)", "see [Security](../explanation/security.md#x)"),
        ("see [Changelog](../../CHANGELOG.md#added)", "see Changelog (`CHANGELOG.md`)"),
        ("in [sdk/python](../../sdk/python)", "in `sdk/python`"),
        ("![page](../images/page.png)", "![page](../images/page.png)"),
        ("```\n[a](../../x)\n```", "```\n[a](../../x)\n```"),
        ("[MDN](https://developer.mozilla.org)", "[MDN](https://developer.mozilla.org)"),
    ],
)
def test_a_link_out_of_the_documentation_becomes_its_path(markdown: str, shown: str) -> None:
    page = cast("Any", SimpleNamespace(file=SimpleNamespace(src_uri="how-to/page.md")))
    assert on_page_markdown(markdown, page) == shown
