"""The errors of the client: their codes, and that the reference page lists each."""

import re
from pathlib import Path

from notification_api.client import errors
from notification_api.client.errors import NotificationApiError, NotTheApiError, ServiceError, SignedOutError

PAGE = Path(__file__).resolve().parents[4] / "docs/reference/python.md"
STATUSES = (400, 403, 404, 408, 409, 410, 413, 415, 422, 429, 500, 502, 503)


def listed() -> set[tuple[str, str]]:
    """The codes on the page, each with its class."""
    section = PAGE.read_text().partition("## Errors")[2].partition("## Names")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `") and "`code`" not in line]
    names = [[re.findall(r"`(\w+)`", cell) for cell in row] for row in rows]
    return {pair for codes, classes in names for pair in zip(codes, classes, strict=True)}


def test_the_page_lists_every_code_with_its_class() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and "code" in vars(each)]
    of_classes = {(vars(each)["code"], each.__name__) for each in classes if each is not NotificationApiError}
    of_statuses = {(ServiceError("x", status).code, "ServiceError") for status in STATUSES}
    others = {(SignedOutError("x", 401).code, "SignedOutError"), (NotTheApiError("x", 404).code, "NotTheApiError")}
    assert listed() == of_classes | of_statuses | others
