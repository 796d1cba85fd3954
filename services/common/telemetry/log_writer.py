"""The handler that writes log lines to standard output from a thread, so that a slow reader does not stop the service.

A line is formatted where it is logged, and queued. A thread writes what is queued, many lines with one call. The queue
is bounded: while standard output takes nothing, further lines are dropped and counted, and a line says so afterwards.
"""

import contextlib
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Iterator

from services.common.telemetry.metrics import LOG_LINES_DROPPED

MAX_QUEUED_BYTES = 4 * 1024 * 1024
LINGER_SECONDS = 0.01
"""Between two writes, so that a busy service writes many lines with one call. The first line after a pause waits for
nothing."""
FLUSH_SECONDS = 1.0
"""How long the end of the process waits for the last lines. A service that has ended must not hang on its logs."""
FLUSH_POLL_SECONDS = 0.002


class LogWriter(logging.Handler):
    """Writes to a file descriptor.

    The garbage collector may run a finalizer anywhere in here, in both threads, and the finalizer may log ("Task was
    destroyed but it is pending!"). So `emit` may be called within itself and within the writing thread's code: the only
    lock is the handler's own, which is reentrant and which the writing thread never takes, and each counter is changed
    by one side alone.

    :param descriptor: the one of standard output.
    :param max_queued_bytes: lines beyond that are dropped.
    """

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_queued_bytes = max_queued_bytes
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # By `emit`:
        self._queued_bytes = 0
        self._dropped = 0
        # By the writing thread:
        self._written_bytes = 0
        """Including those that standard output did not take."""
        self._lost = 0
        """Lines that standard output did not take."""
        self._reported = 0
        """Lines dropped or lost that a line has reported."""
        self._counting = threading.Lock()
        self._counted = 0
        """The same that the metric has."""
        self._process = os.getpid()
        threading.Thread(target=self._run, name="log-writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record, or drop it where too many wait. A line of any length is taken if none waits."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 — logging's way: report it on standard error and go on
            self.handleError(record)
            return
        if os.getpid() != self._process:  # a fork of a handler's own has no writing thread
            self._write(line)
            return
        size, waiting = len(line), self._queued_bytes - self._written_bytes
        if waiting and waiting + size > self._max_queued_bytes:
            self._dropped += 1
            self._count()
            return
        self._queued_bytes += size
        self._lines.put(line)

    def flush(self) -> None:
        """Wait until what is queued now is written, for `FLUSH_SECONDS` at most."""
        if os.getpid() != self._process:
            return
        until, ends_at = self._queued_bytes, time.monotonic() + FLUSH_SECONDS
        while self._written_bytes < until and time.monotonic() < ends_at:
            time.sleep(FLUSH_POLL_SECONDS)

    def _run(self) -> None:
        while True:
            lines = [self._lines.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    lines.append(self._lines.get_nowait())
            self._write_batch(lines)
            time.sleep(LINGER_SECONDS)

    def _write_batch(self, lines: list[bytes]) -> None:
        is_written = True
        for chunk in _chunks(lines):
            is_written = self._write(b"".join(chunk))
            if not is_written:
                self._lost += len(chunk)
                self._count()
            self._written_bytes += sum(map(len, chunk))
        missing = self._dropped + self._lost
        if is_written and missing > self._reported and self._write(self._report(missing - self._reported)):
            self._reported = missing

    def _count(self) -> None:
        """Bring the metric up to date, unless a caller is at it: the metric's own lock is not reentrant."""
        if self._counting.acquire(blocking=False):
            try:
                while more := self._dropped + self._lost - self._counted:
                    LOG_LINES_DROPPED.inc(more)
                    self._counted += more
            finally:
                self._counting.release()

    def _report(self, dropped: int) -> bytes:
        fields = {
            "name": __name__,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "log lines were dropped because standard output did not take them",
            "action": "log",
            "lines": dropped,
        }
        return self.format(logging.makeLogRecord(fields)).encode(errors="backslashreplace") + b"\n"

    def _write(self, data: bytes) -> bool:
        """Write all of it; returns False where standard output is closed."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever shares the descriptor has made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Group lines up to the length that a pipe takes whole, or what others print could get into one of them."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    yield chunk
