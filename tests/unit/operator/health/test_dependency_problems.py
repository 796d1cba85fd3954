"""Ready pods that cannot do their work, and a queue that the operator cannot read."""

import copy

import pytest

from k8s.operator.api.readiness import ReadinessReport
from k8s.operator.api.reasons import DegradedReason
from k8s.operator.health.judge import find_problems
from k8s.operator.health.problems import Problem
from tests.support.operator.release import ReleaseBuilder, starting

KEY = "Momento refused the API key (parameter /notification-api/dev/momento-api-key)"


def test_a_key_refused_to_every_token_pod_makes_the_stage_not_ready(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.MOMENTO_KEY_REFUSED, KEY, "t1", "t2")
    assert release.judge() == (False, "MomentoKeyRefused", "MomentoKeyRefused", f"dev-token: {KEY}")


def test_a_key_refused_to_one_pod_of_two_leaves_users_served(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.MOMENTO_KEY_REFUSED, KEY, "t1")
    assert release.judge() == (True, "Ready", "MomentoKeyRefused", f"dev-token: {KEY}")


def test_a_paused_processor_is_reported(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.MOMENTO_KEY_REFUSED, KEY, "p1", paused="notifications cannot be delivered")
    assert release.judge() == (
        False, "MomentoKeyRefused", "MomentoKeyRefused", f"dev-processor: receiving is paused: {KEY}",
    )  # fmt: skip


def test_a_processor_paused_without_a_fault_is_reported_with_its_warning(release: ReleaseBuilder) -> None:
    release.reported["p1"] = ReadinessReport(warnings={"receiving": "notifications cannot be delivered (publish: x)"})
    assert release.judge() == (
        False,
        "ReceivingPaused",
        "ReceivingPaused",
        "dev-processor: receiving is paused: notifications cannot be delivered (publish: x)",
    )


def test_a_starting_processor_beside_paused_ones_does_not_count(release: ReleaseBuilder) -> None:
    release.scale("processor", 2)
    release.pods["p2"] = starting(release.pods["p1"])
    release.pods["p2"]["metadata"]["name"] = "p2"
    release.reports(DegradedReason.MOMENTO_KEY_REFUSED, KEY, "p1", paused="notifications cannot be delivered")
    assert release.judge()[:3] == (False, "MomentoKeyRefused", "MomentoKeyRefused")


def test_one_processor_of_two_that_receives_is_enough(release: ReleaseBuilder) -> None:
    release.scale("processor", 2)
    release.pods["p2"] = copy.deepcopy(release.pods["p1"])
    release.pods["p2"]["metadata"]["name"] = "p2"
    release.reports(DegradedReason.MOMENTO_UNREACHABLE, "Momento is unreachable", "p1", paused="x")
    assert release.judge()[:3] == (True, "Ready", "MomentoUnreachable")


def test_sqs_that_only_the_operator_cannot_reach_affects_no_user_while_a_processor_reads_it(
    release: ReleaseBuilder,
) -> None:
    release.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
    assert release.judge()[:3] == (False, "QueueUnreachable", "QueueUnreachable")
    release.queue_error_seconds = 46.0
    assert release.judge()[:3] == (True, "Ready", "QueueUnreachable")


@pytest.mark.parametrize(
    "report", [ReadinessReport(error="no answer in time"), ReadinessReport(warnings={"receiving": "paused"})]
)
def test_a_processor_that_does_not_read_the_queue_proves_nothing(
    release: ReleaseBuilder, report: ReadinessReport
) -> None:
    release.queue_error, release.queue_error_seconds = "sqs:GetQueueAttributes: no answer within 3 s", 46.0
    release.reported["p1"] = report
    assert release.judge()[0] is False


def test_sqs_unreachable_for_every_ingest_pod_makes_the_stage_not_ready(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.QUEUE_UNREACHABLE, "SQS is unreachable", "i1", "i2")
    release.queue_error = "sqs:GetQueueAttributes: no answer within 3 s"
    assert release.judge() == (False, "QueueUnreachable", "QueueUnreachable", "dev-ingest: SQS is unreachable")


def test_a_quota_that_refuses_some_calls_leaves_users_served(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.MOMENTO_QUOTA_EXCEEDED, "a quota is used up", "t1", "t2", blocking=False)
    assert release.judge()[:3] == (True, "Ready", "MomentoQuotaExceeded")


def test_handlers_that_all_fail_leave_the_stage_ready(release: ReleaseBuilder) -> None:
    release.reports(DegradedReason.TASKS_FAILING, "every task fails, the last with ValueError", "p1", blocking=False)
    assert release.judge()[:3] == (True, "Ready", "TasksFailing")


@pytest.mark.parametrize(
    ("error", "ready", "reason"),
    [
        ("sqs:GetQueueAttributes on q: no answer within 3 s", False, "QueueUnreachable"),
        ("sqs:GetQueueAttributes on q: AWS.SimpleQueueService.NonExistentQueue: gone", False, "QueueMissing"),
        (
            "sqs:GetQueueAttributes on q: AccessDenied: (allow sqs:GetQueueAttributes for …",
            True,
            "QueueAccessDenied",
        ),
        ("sqs:GetQueueAttributes on q: ExpiredToken: The security token is expired", True, "QueueAccessDenied"),
        ("sqs:GetQueueAttributes on q: Unable to locate credentials", True, "QueueAccessDenied"),
        ("sqs:GetQueueAttributes on q: ThrottlingException: Rate exceeded", True, "QueueUnreachable"),
    ],
)
def test_the_operators_own_reading_of_the_queue_counts(
    release: ReleaseBuilder, *, error: str, ready: bool, reason: str
) -> None:
    release.queue_error = error
    assert (release.judge()[0], release.judge()[2]) == (ready, reason)
    assert error in release.judge()[3]


@pytest.mark.parametrize("error", ["AccessDenied: (allow sqs:GetQueueAttributes for …", "ThrottlingException: x"])
def test_without_processors_nobody_is_served_while_the_operator_cannot_read_the_queue(
    release: ReleaseBuilder, error: str
) -> None:
    release.scale("processor", 0)
    del release.pods["p1"]
    release.queue_error = f"sqs:GetQueueAttributes on q: {error}"
    assert release.judge()[0] is False


def test_a_pod_that_does_not_answer_is_named_once_it_lasts(release: ReleaseBuilder) -> None:
    release.reported["t1"] = ReadinessReport(error="no answer in time")
    [problem] = find_problems(release.snapshot())
    assert problem == Problem(
        DegradedReason.PODS_NOT_ANSWERING,
        "dev-token: 1 of 2 pods do not answer the operator on port 9090: no answer in time",
        is_certain=False,
    )
