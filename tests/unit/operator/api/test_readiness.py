"""Responses of /readyz become reports."""

import pytest

from k8s.operator.api.readiness import REASON_BY_CAUSE, ReadinessReport, parse_readiness
from k8s.operator.api.reasons import DegradedReason
from services.common.telemetry.faults import Cause


def test_every_cause_that_a_service_reports_has_a_reason() -> None:
    assert set(REASON_BY_CAUSE) == {cause.value for cause in Cause}


def test_control_characters_are_left_out() -> None:
    report = parse_readiness(
        rb'{"reasons":{"queue":"no\nline\u001b[2J"},"faults":[{"cause":"queue_missing","message":"\u0000"}]}'
    )
    assert report.reasons == {"queue": "no line [2J"}
    assert report.faults[0].message == " "


def test_faults_reasons_and_warnings_are_read() -> None:
    body = b"""{"ready": false, "reasons": {"momento": "x"}, "warnings": {"receiving": "paused"},
        "faults": [{"cause": "queue_unreachable", "message": "SQS is unreachable", "blocking": false}]}"""
    report = parse_readiness(body)
    assert (report.reasons, report.paused_because) == ({"momento": "x"}, "paused")
    [fault] = report.faults
    assert (fault.reason, fault.is_blocking) == (DegradedReason.QUEUE_UNREACHABLE, False)


@pytest.mark.parametrize(
    "body", [b"", b"live", b"[]", b"3", b'{"faults": 1}', b'{"faults": [1]}', b'{"faults": [{"cause": "new"}]}']
)
def test_another_response_gives_an_empty_report(body: bytes) -> None:
    assert parse_readiness(body) == ReadinessReport()
