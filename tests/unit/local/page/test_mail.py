"""Mails as the emulated AWS lists them, and how they are shown."""

from typing import Any

import pytest

from local.page.html import mail_page, start_page
from local.page.mail import MAX_MAILS, Mail, parse, printable


def record(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "MessageId": f"id-{number}",
        "Source": "no-reply@verificationemail.com",
        "To": [f"user-{number}@example.com"],
        "Subject": "Your verification code",
        "BodyText": f"Your verification code is {100_000 + number}.",
        "BodyHtml": "",
        "Timestamp": 1_700_000_000.0 + number,
    }
    return made | changes


def listed(*records: dict[str, Any]) -> dict[str, Any]:
    return {"messages": {"000000000000": list(records)}}


def test_the_newest_mail_comes_first_whatever_account_it_is_of() -> None:
    answer = {"messages": {"000000000000": [record(1), record(3)], "111111111111": [record(2)]}}
    assert [mail.id for mail in parse(answer)] == ["id-3", "id-2", "id-1"]


def test_an_empty_list_of_mails_is_valid() -> None:
    assert parse({"messages": {}}) == []


def test_only_the_newest_mails_are_shown() -> None:
    mails = parse(listed(*(record(number) for number in range(MAX_MAILS + 50))))
    assert len(mails) == MAX_MAILS
    assert mails[0].id == f"id-{MAX_MAILS + 49}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your verification code is 123456.", "123456"),
        ("123456", "123456"),
        ("<b>654321</b>", "654321"),
        ("Order 1234567 is 12345", ""),
        ("", ""),
    ],
)
def test_a_code_is_a_separate_number_of_six_digits(text: str, code: str) -> None:
    assert Mail("id", "a@example.com", "subject", text, 0.0).code == code


def test_a_mail_with_html_only_is_read_too() -> None:
    (mail,) = parse(listed(record(1, BodyText="", BodyHtml="<p>code 777777</p>")))
    assert mail.code == "777777"


@pytest.mark.parametrize(
    "answer", [{}, [], {"messages": []}, {"messages": {"0": [{}]}}, None, {"messages": {"0": [1]}}]
)
def test_an_unknown_format_raises_an_error(answer: Any) -> None:
    with pytest.raises((LookupError, TypeError, AttributeError, ValueError)):
        parse(answer)


EVIL = "<script>alert(1)</script>\"'&@example.com"


def test_html_in_a_mail_is_escaped() -> None:
    page = mail_page([Mail("id", EVIL, EVIL, EVIL, 0.0)])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3


def test_the_mail_page_reloads_itself_without_a_script() -> None:
    page = mail_page([])
    assert '<meta http-equiv="refresh"' in page
    assert "No mail yet" in page
    assert "<script" not in page


def test_nothing_on_a_page_needs_an_inline_style_or_script() -> None:
    for page in (
        mail_page([Mail("id", "a@example.com", "s", "123456", 0.0)]),
        start_page("http://t", has_dev_view=True),
    ):
        assert " style=" not in page
        assert "<style" not in page
        assert "<script" not in page
        assert " on" not in page.replace(" on that", "").replace(" once", "")


def test_the_start_page_says_how_to_try_it() -> None:
    page = start_page("http://localhost:8080", has_dev_view=True)
    for said in ("make demo", 'href="/mail"', 'href="/dev"', 'href="/config.json"', "http://localhost:8080/task"):
        assert said in page


def test_control_characters_in_an_address_are_replaced() -> None:
    assert printable("a\x1b[2J\r\n\u202eb@example.com") == "a?[2J???b@example.com"
    assert printable("ü@example.com") == "ü@example.com"
