"""One trace from POST to publish, through real processes, received by a real OTLP server."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from local.demo.sign_up import Application, application, signed_in_user
from tests.support.momento.subscriber import subscriber, topic_access
from tests.support.monitoring.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.processes.local_stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]  # the first test also starts the stack

TRACED = ("ingest", "processor")
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
async def app(local_stack: LocalStack) -> AsyncIterator[Application]:
    async with application(local_stack.page_url) as app:
        yield app


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced(local_stack: LocalStack, receiver: OtlpReceiver) -> Iterator[LocalStack]:
    """The stack with tracing in ingest and processor, which send their spans immediately."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with ExitStack() as restarts:
        for name in TRACED:
            restarts.enter_context(local_stack.restarted(name, settings))
        yield local_stack


async def posted(app: Application, stack: LocalStack, *traceparents: str) -> None:
    """Post one task for each traceparent concurrently, and wait for their notifications."""
    user = await signed_in_user(app)
    async with subscriber(await topic_access(user.config, user.id_token)) as notifications:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {user.id_token}"}) as session:
            await asyncio.gather(*(_post(session, user.config.api_url, one) for one in traceparents))
        for _ in traceparents:
            await notifications.next(30.0)


async def _post(session: aiohttp.ClientSession, url: str, traceparent: str) -> None:
    async with session.post(f"{url}/task", json={"data": "x"}, headers={"traceparent": traceparent}) as answer:
        assert answer.status == 202


def traceparent(*, sampled: bool = True) -> tuple[str, str, str]:
    """A caller's header, the id of its trace and the id of its span."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace_id}-{span_id}-{int(sampled):02x}", trace_id, span_id


async def test_one_trace_covers_the_post_the_queue_and_the_publishing(
    traced: LocalStack, app: Application, receiver: OtlpReceiver
) -> None:
    header, trace_id, callers_span = traceparent()
    await posted(app, traced, header)
    names = ("POST /task", "send task", "send batch", "process task", "handle", "publish", "dictionary-set")
    spans = {name: await receiver.one(name, trace_id) for name in names}
    parents = {name: span.parent_id for name, span in spans.items()}
    ids = {name: span.span_id for name, span in spans.items()}
    assert parents == {
        "POST /task": callers_span,
        "send task": ids["POST /task"],
        "send batch": ids["send task"],
        "process task": ids["send task"],
        "handle": ids["process task"],
        "publish": ids["process task"],
        "dictionary-set": ids["process task"],
    }
    assert [spans[name].kind for name in names] == [
        *("SERVER", "PRODUCER", "CLIENT", "CONSUMER", "INTERNAL", "PRODUCER", "CLIENT")
    ]
    assert (spans["POST /task"].service, spans["publish"].service) == TRACED
    assert spans["POST /task"].attributes["http.response.status_code"] == 202
    assert spans["process task"].attributes["task.outcome"] == "finished"
    assert spans["process task"].attributes["task.id"] == spans["send task"].attributes["task.id"]
    assert not any(span.failed for span in spans.values())
    assert {"service.namespace": "notification-api", "deployment.environment.name": "local"}.items() <= (
        receiver.resources[0].items()
    )


async def test_calls_for_a_batch_are_linked_to_the_trace_of_each_message(
    traced: LocalStack, app: Application, receiver: OtlpReceiver
) -> None:
    callers = [traceparent() for _ in range(12)]
    await posted(app, traced, *(header for header, _, _ in callers))
    sent = {(trace_id, (await receiver.one("send task", trace_id)).span_id) for _, trace_id, _ in callers}

    def linked(name: str) -> bool:
        return sent <= {link for span in receiver.named(name) for link in span.links}

    await wait_until(lambda: linked("send batch") and linked("receive batch"), timeout_seconds=15)
    counts = [span.attributes["messaging.batch.message_count"] for span in receiver.named("send batch")]
    assert any(int(count) > 1 for count in counts)


async def test_an_unsampled_request_has_no_spans_but_keeps_its_trace_id(
    traced: LocalStack, app: Application, receiver: OtlpReceiver
) -> None:
    header, trace_id, _ = traceparent(sampled=False)
    marker, marked, _ = traceparent()
    await posted(app, traced, header)
    await posted(app, traced, marker)
    await receiver.one("publish", marked)  # earlier spans have been sent too
    assert not [span for span in receiver.spans if span.trace_id == trace_id]
    assert trace_id in {line.get("traceId") for line in logged(traced, "ingest")}


async def test_histograms_and_log_lines_contain_the_trace_id(traced: LocalStack, app: Application) -> None:
    header, trace_id, _ = traceparent()
    await posted(app, traced, header)
    for name, histograms in {
        "ingest": ("http_request_duration_seconds",),
        "processor": (
            "queue_wait_seconds",
            "task_duration_seconds",
            "end_to_end_seconds",
            "momento_call_duration_seconds",
        ),
    }.items():
        exemplars = await exemplars_of(traced.environment(name)["OPS_PORT"])
        for histogram in histograms:
            assert any(
                line.startswith(f"notification_api_{histogram}_bucket") and f'trace_id="{trace_id}"' in line
                for line in exemplars
            ), f"{histogram}: {exemplars}"
    assert {(line["message"], line.get("traceId")) for line in logged(traced, "ingest")} >= {("request", trace_id)}


async def exemplars_of(ops_port: str) -> list[str]:
    async with (
        aiohttp.ClientSession(headers=OPEN_METRICS) as session,
        session.get(f"http://127.0.0.1:{ops_port}/metrics") as answer,
    ):
        return [line for line in (await answer.text()).splitlines() if " # {" in line]


def logged(stack: LocalStack, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in stack.output(name).splitlines() if line.startswith("{")]


async def test_buffered_spans_are_sent_when_the_service_stops(
    local_stack: LocalStack, app: Application, receiver: OtlpReceiver
) -> None:
    header, trace_id, _ = traceparent()
    never_by_itself = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with local_stack.restarted("processor", never_by_itself):
        await posted(app, local_stack, header)
        assert not receiver.named("publish", trace_id)
        status = await asyncio.to_thread(local_stack.stop, "processor")
    assert status == 0
    assert receiver.named("publish", trace_id)


async def test_an_unreachable_collector_loses_spans_only(local_stack: LocalStack, app: Application) -> None:
    with local_stack.restarted("processor", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
        await posted(app, local_stack, traceparent()[0])
        status = await asyncio.to_thread(local_stack.stop, "processor")
    assert status == 0
