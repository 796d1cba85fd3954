"""The processor says at its start when large messages would not fit into its memory."""

import logging

import pytest

from services.common.lifecycle import Lifecycle
from services.common.settings import load
from services.processor.app import create_app
from services.processor.settings import read_settings

COMPLETE = {
    "STAGE_NAME": "dev",
    "TASK_QUEUE_URL": "https://sqs.example/1/tasks",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.example/1/dlq",
    "MOMENTO_API_KEY_PARAM_NAME": "/notification-api/dev/momento-api-key",
    "MOMENTO_CACHE_NAME": "cache",
}
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("concurrency", "limit_mib", "needed_mib"), [(20, 384, None), (20, 200, 216), (200, 384, 1_296), (200, 2_048, None)]
)
def test_a_warning_names_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    concurrency: int,
    limit_mib: int,
    needed_mib: int | None,
) -> None:
    settings = {"CONCURRENCY": str(concurrency), "MEMORY_LIMIT_BYTES": str(limit_mib * MIB)}
    for name, value in {**COMPLETE, **settings}.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, logger="services.processor.app"):
        create_app(load(read_settings), Lifecycle())
    assert [f"need {needed_mib} MiB" in record.getMessage() for record in caplog.records] == [True] * bool(needed_mib)
