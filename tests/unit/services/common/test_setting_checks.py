"""Origins in the form that browsers send."""

import pytest

from services.common.setting_checks import serialize_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com:8443", "https://app.example.com:8443"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://localhost:080", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
        ("http://my_app.test:1", "http://my_app.test:1"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://1.example", "http://1.example"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("http://[FE80::0001]", "http://[fe80::1]"),
        ("http://[::ffff:127.0.0.1]:80", "http://[::ffff:7f00:1]"),
    ],
)
def test_an_origin_gets_the_form_that_browsers_send(text: str, origin: str) -> None:
    assert serialize_origin(text) == origin
    assert serialize_origin(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "null", "localhost:3000", "https://", "ftp://a", "https://a/", "https://a/b", "https://a?b"),
        *("https://a#b", "https://u@a", "https://a b", " https://a", "https://a\n", "https://a,https://b"),
        *("https://*", "https://*.example.com", "https://a..b", "https://a.", "https://-a", "https://a-"),
        *("https://a:", "https://a:0", "https://a:65536", "https://a:x", "https://a:\u0665", "https://b\u00fccher.de"),
        *("http://127.1", "http://2130706433", "http://0x7f.1", "http://0x7f000001", "http://256.1.1.1"),
        *("http://127.0.0.01", "http://1.2.3.4.5", "http://a.1", "https://" + "a" * 64),
        *("http://[::1", "http://[:]", "http://[1:2:3:4:5:6:7:8:9]", "http://[::g]", "http://::1", "http://[1.2.3.4]"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(text: str) -> None:
    assert serialize_origin(text) is None
