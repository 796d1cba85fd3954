"""Which requests of web browsers the local stack serves."""

import pytest

from local.errors import LocalError
from local.ports import Ports
from local.web_access.access import RequestFacts, WebAccess
from local.web_access.origins import allowed_origins, origins_from

PORT = 4566
PAGE = "http://localhost:8080"
ACCESS = WebAccess(origins=frozenset({PAGE}))
OF_A_POD = WebAccess(hosts=frozenset({"emulators.apps.svc:4566", "localhost", "127.0.0.1"}))
HERE = ("Host", f"localhost:{PORT}")


def status(*headers: tuple[str, str], access: WebAccess = ACCESS, target: str = "/", navigable: bool = False) -> int:
    refused = access.refusal(RequestFacts.of("GET", target, PORT, headers), navigable=navigable)
    return refused.status if refused else 200


@pytest.mark.parametrize(
    "host", ["localhost:4566", "LocalHost:4566", "127.0.0.1:4566", "[::1]:4566", " localhost:4566 "]
)
def test_this_machines_own_names_are_served(host: str) -> None:
    assert status(("Host", host)) == 200


FOREIGN_HOSTS = [
    *("evil.example:4566", "localhost.evil.example:4566", "127.0.0.1.nip.io:4566", "evil.localhost:4566"),
    *("localhost", "127.0.0.1", "[::1]", "localhost:80", "localhost:8080", "localhost:04566", "localhost:4566:4566"),
    *(
        "localhost.:4566",
        "127.1:4566",
        "2130706433:4566",
        "0.0.0.0:4566",
        "[::]:4566",
        "::1:4566",
        "[::ffff:7f00:1]:4566",
    ),
    *("user@localhost:4566", "localhost:4566@evil.example", "localhost:4566, evil.example", "localhost:", ":4566", ""),
    *("localhost:\u0664\u0665\u0666\u0666", "localhost:4566/", "localhost%3a4566"),
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_any_other_host_is_rejected(host: str) -> None:
    assert status(("Host", host)) == 421


def test_no_host_and_two_hosts_are_rejected() -> None:
    assert status() == 421
    assert status(HERE, HERE) == 421
    assert status(HERE, ("host", "evil.example")) == 421


@pytest.mark.parametrize("target", ["http://localhost:4566/", "http://evil.example/", "evil.example:80", "*", ""])
def test_a_target_that_is_not_a_path_is_rejected(target: str) -> None:
    assert status(HERE, target=target) == 400


@pytest.mark.parametrize("host", ["emulators.apps.svc:4566", "localhost:14566", "127.0.0.1:9999", "localhost"])
def test_a_pod_is_also_served_by_its_services_name_and_at_any_port_that_is_forwarded(host: str) -> None:
    assert status(("Host", host), access=OF_A_POD) == 200


@pytest.mark.parametrize("host", ["emulators.apps.svc", "emulators.other.svc:4566", "evil.example:4566"])
def test_a_pod_is_not_served_by_other_names(host: str) -> None:
    assert status(("Host", host), access=OF_A_POD) == 421


def test_a_page_of_an_allowed_origin_is_served() -> None:
    assert status(HERE, ("Origin", PAGE)) == 200
    assert status(HERE, ("Origin", PAGE), ("Sec-Fetch-Site", "cross-site")) == 200


FOREIGN_ORIGINS = [
    *("null", "", "*", "https://evil.example", "http://localhost.evil.com", "http://127.0.0.1.nip.io:8080"),
    *("http://localhost:8080@evil", "http://localhost:3000", "https://localhost:8080", "http://localhost:80800"),
    *("http://localhost:8080/", "HTTP://LOCALHOST:8080", "http://localhost:8080, http://evil.example", "file://"),
    *("http://localhost", "http://[::1]:8080", "http://localhost.:8080"),
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_page_of_any_other_origin_is_rejected(origin: str) -> None:
    assert status(HERE, ("Origin", origin)) == 403
    assert status(HERE, ("Origin", origin), ("Sec-Fetch-Site", "same-origin")) == 403


def test_two_origins_are_rejected() -> None:
    assert status(HERE, ("Origin", PAGE), ("Origin", PAGE)) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "unknown", "none, cross-site"])
def test_a_request_from_another_site_is_rejected_also_without_an_origin(site: str) -> None:
    assert status(HERE, ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors")) == 403
    assert status(HERE, ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", site)) == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_requests_of_the_same_origin_and_typed_addresses_are_served(site: str) -> None:
    assert status(HERE, ("Sec-Fetch-Site", site)) == 200


def test_a_link_leads_only_to_navigable_paths() -> None:
    link = [HERE, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    frame = [*link[:-1], ("Sec-Fetch-Dest", "iframe")]
    assert status(*link, navigable=True) == 200
    assert status(*link) == 403
    assert status(*frame, navigable=True) == 403
    refused = ACCESS.refusal(RequestFacts.of("POST", "/", PORT, link), navigable=True)
    assert refused is not None
    assert refused.status == 403


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", ()),
        ("  ", ()),
        ("http://localhost:5173", ("http://localhost:5173",)),
        (" http://localhost:5173 , https://App.Test ", ("http://localhost:5173", "https://app.test")),
        ("http://localhost:80,https://app.test:443", ("http://localhost", "https://app.test")),
        ("http://[::1]:3000,http://my_app.test:1", ("http://[::1]:3000", "http://my_app.test:1")),
        ("http://[0:0:0:0:0:0:0:1]:3000", ("http://[::1]:3000",)),
    ],
)
def test_local_origins_are_read_as_browsers_send_them(given: str, origins: tuple[str, ...]) -> None:
    assert origins_from({"LOCAL_ORIGINS": given}) == origins


BAD_ORIGINS = [
    *(
        "*",
        "null",
        "localhost:5173",
        "http://",
        "http://localhost:5173/",
        "http://localhost:5173/app",
        "ftp://localhost",
    ),
    *("http://localhost:5173,", "http://a b", "http://user@localhost", "http://localhost:0", "http://localhost:65536"),
    *(
        "http://localhost:x",
        "http://localhost?q",
        "http://localhost#f",
        "http://*.test",
        "http://a..b",
        "http://-a.test",
    ),
    *("http://[::1", "http://localhost:", "http://b\u00fccher.example", "http://localhost:\u0665", "http://a;b"),
    *("http://127.1:3000", "http://[1:2:3:4:5:6:7:8:9]"),
]


@pytest.mark.parametrize("given", BAD_ORIGINS)
def test_an_invalid_origin_is_named(given: str) -> None:
    with pytest.raises(
        LocalError, match=r"LOCAL_ORIGINS must be comma-separated origins such as http://localhost:5173, not '"
    ):
        origins_from({"LOCAL_ORIGINS": given})


def test_a_duplicate_origin_counts_once() -> None:
    own = ("http://localhost:18080", "http://127.0.0.1:18080", "http://[::1]:18080")
    assert allowed_origins({"LOCAL_ORIGINS": f"{own[1]},{own[1]}"}, Ports(18_080)) == own


@pytest.mark.parametrize("given", ["*", "http://localhost:8080/", "http://localhost:80", "http://a,localhost:3000"])
def test_origins_that_no_page_has_are_invalid(given: str) -> None:
    with pytest.raises(LocalError, match="ALLOWED_ORIGINS must be comma-separated origins such as"):
        WebAccess.from_environment({"ALLOWED_ORIGINS": given})


@pytest.mark.parametrize("given", ["*", "http://localhost", "localhost:", "a b", "localhost/", "::1"])
def test_hosts_that_no_request_has_are_invalid(given: str) -> None:
    with pytest.raises(LocalError, match="ALLOWED_HOSTS must be comma-separated host names such as"):
        WebAccess.from_environment({"ALLOWED_HOSTS": f"a.svc:4566,[::1]:80,{given}"})
