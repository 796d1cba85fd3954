"""docs/explanation/security.md lists the headers that the application's host has to send."""

import re
from pathlib import Path

from local.page.security import FIXED_HEADERS, content_security_policy

DOCS = (Path(__file__).resolve().parents[3] / "docs/explanation/security.md").read_text()


def test_the_headers_of_the_pages_host_are_documented() -> None:
    section = DOCS.partition("## Headers of the application's host")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| `(.+)` \|$", section, re.M)
    documented = {name: value for names, value in rows for name in re.findall(r"`([\w-]+)`", names)}
    policy = content_security_policy(["<API>", "<Cognito>", "<Momento>"])
    assert FIXED_HEADERS.items() <= documented.items()
    assert documented["Content-Security-Policy"] == policy
