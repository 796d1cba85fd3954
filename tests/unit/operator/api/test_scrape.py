"""Scraping pods: what matters is read, whatever they answer, within bounds."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from k8s.operator.api.pod_state import pod_state
from k8s.operator.api.readiness import ReadinessClient
from k8s.operator.api.scrape import LONG_TASK_BOUNDS, MAX_BYTES, Scraped, Scraper, Target, parse_metrics
from services.processor.metrics import TASK_BUCKETS
from tests.support.operator.release import ready_pod

PAGE = """# HELP notification_api_slots Tasks that this replica can work on at once.
# TYPE notification_api_slots gauge
notification_api_slots 20.0
notification_api_tasks_in_process 3.0
notification_api_task_duration_seconds_count{outcome="failed"} 2.0
notification_api_task_duration_seconds_bucket{le="1.1",outcome="failed"} 2.0
notification_api_task_duration_seconds_bucket{le="24.0",outcome="failed"} 2.0
notification_api_http_requests_total{method="GET"} 9.0
"""


def test_only_wanted_samples_are_read() -> None:
    assert parse_metrics("p", PAGE.encode()).sample == {
        ("slots", ()): 20.0,
        ("tasks_in_process", ()): 3.0,
        ("task_duration_seconds_count", (("outcome", "failed"),)): 2.0,
        ("task_duration_seconds_bucket", (("le", "24.0"), ("outcome", "failed"))): 2.0,
    }


def test_samples_are_read_by_task_type() -> None:
    page = "".join(
        f'notification_api_{name}{{le="24.0",outcome="finished",type="{kind}"}} 1.0\n'
        for name in ("task_duration_seconds_bucket",)
        for kind in ("default", "report.v1")
    )
    page += (
        'notification_api_queue_wait_seconds_sum{type="report.v1"} 2.5\nnotification_api_tasks_running{type="x"} 1\n'
    )
    bucket = "task_duration_seconds_bucket"
    assert parse_metrics("p", page.encode()).sample == {
        (bucket, (("le", "24.0"), ("outcome", "finished"), ("type", "default"))): 1.0,
        (bucket, (("le", "24.0"), ("outcome", "finished"), ("type", "report.v1"))): 1.0,
        ("queue_wait_seconds_sum", (("type", "report.v1"),)): 2.5,
    }


def test_an_invalid_response_is_an_error_and_not_zero() -> None:
    assert parse_metrics("p", b"notification_api_slots many\n").sample is None
    assert parse_metrics("p", b"\xff\xfe").sample is None
    assert parse_metrics("p", b'notification_api_slots{a="b=", ="d\\"} 20 123 #x\n').sample is None


def test_an_error_that_quotes_the_response_is_bounded() -> None:
    assert len(parse_metrics("p", b"notification_api_slots " + b"x" * 100_000).error) < 500


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1.0", "1e300"])
@pytest.mark.parametrize("name", ["slots", "tasks_in_process", "tasks_accepted_total"])
def test_impossible_figures_are_an_error(name: str, value: str) -> None:
    scraped = parse_metrics("p", f"notification_api_{name} {value}\n".encode())
    assert scraped.sample is None
    assert scraped.error == f"answered with {name} of {float(value)}"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def scraped_from(answer: Handler, readyz: Handler | None = None) -> AsyncIterator[Scraped]:
    """Scrape a pod with these handlers, with a timeout of 0.5 s."""
    app = web.Application()
    app.router.add_get("/metrics", answer)
    if readyz:
        app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with Scraper(port=port, timeout_seconds=0.5) as scraper:
            (one,) = await scraper.read_all([Target("p", "127.0.0.1")])
            yield one
    finally:
        await runner.cleanup()


async def test_a_pod_is_read_over_http() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    async with scraped_from(answer) as one:
        assert one.sample is not None
        assert one.sample["slots", ()] == 20


async def test_a_pod_that_hangs_times_out() -> None:
    async def answer(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with scraped_from(answer) as one:
        assert one.sample is None
        assert one.error


async def test_an_error_status_is_reported() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    async with scraped_from(answer) as one:
        assert one == Scraped("p", None, "answered 503")


async def test_a_response_that_is_too_long_is_an_error() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (MAX_BYTES + 10))

    async with scraped_from(answer) as one:
        assert one.sample is None
        assert "more than" in one.error


async def test_a_redirect_is_not_followed() -> None:
    followed = []

    async def answer(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/readyz")

    async def elsewhere(_request: web.Request) -> web.Response:
        followed.append(True)
        return web.Response(text=PAGE)

    async with scraped_from(answer, elsewhere) as one:
        assert one == Scraped("p", None, "answered 302")
    assert not followed


async def test_a_compressed_response_is_not_unpacked() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(PAGE.encode()), headers={"Content-Encoding": "gzip"})

    async with scraped_from(answer) as one:
        assert one.sample is None


async def test_a_pod_that_cannot_be_reached_is_an_error() -> None:
    async with Scraper(port=1, timeout_seconds=0.5) as scraper:
        (one,) = await scraper.read_all([Target("p", "127.0.0.1")])
    assert one.sample is None


async def test_a_closed_port_is_distinguished_from_a_pod_that_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Scraper(port=taken.getsockname()[1], timeout_seconds=0.5) as scraper:
            (refused,) = await scraper.read_all([Target("p", "127.0.0.1")])
            taken.listen()
            (silent,) = await scraper.read_all([Target("p", "127.0.0.1")])
    assert refused.sample is None
    assert refused.is_closed
    assert silent.sample is None
    assert not silent.is_closed


def test_the_bounds_that_are_read_are_buckets_of_the_processor() -> None:
    assert set(LONG_TASK_BOUNDS) <= {float(bound) for bound in TASK_BUCKETS}


def answers(body: str, status: int = 200) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body, status=status)

    return answer


KEY_REFUSED = '{"ready":true,"reasons":{},"warnings":{"receiving":"Momento refuses the API key"}}'
NO_QUEUE = '{"ready":false,"reasons":{"queue":"The task queue cannot be used"}}'


@pytest.mark.parametrize(
    ("metrics", "readyz", "reasons"),
    [
        ("notification_api_receiving_paused 1.0", answers(KEY_REFUSED), {"receiving": "Momento refuses the API key"}),
        ("notification_api_ready 0.0", answers(NO_QUEUE, 503), {"queue": "The task queue cannot be used"}),
        ("notification_api_ready 1.0\nnotification_api_receiving_paused 0.0", answers(KEY_REFUSED), {}),
    ],
)
async def test_reasons_are_read_where_nothing_is_received(
    metrics: str, readyz: Handler, reasons: dict[str, str]
) -> None:
    async with scraped_from(answers(metrics), readyz) as one:
        assert one.reasons == reasons


@pytest.mark.parametrize("body", ["", "{", "[]", '"no"', "null", '{"reasons": 1}', '{"reasons": {"queue": 1}}'])
async def test_an_invalid_readyz_response_keeps_the_metrics(body: str) -> None:
    async with scraped_from(answers("notification_api_receiving_paused 1.0"), answers(body)) as one:
        assert one.is_paused
        assert one.reasons == {}


async def test_an_error_that_quotes_a_pods_bytes_is_bounded() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"\x1b[2J" * 1_000 + b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Scraper(port=port) as scraper, ReadinessClient(port=port) as readiness:
        (scraped,) = await scraper.read_all([Target("p", "127.0.0.1")])
        answers = await readiness.read_all([replace(pod_state(ready_pod("p", "token")), ip="127.0.0.1")])
    for error in (scraped.error, answers["p"].error):
        assert 0 < len(error) <= 300
        assert error.isprintable()
