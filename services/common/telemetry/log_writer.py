"""The logging handler that writes to standard output from a thread, so that a slow reader does not block the service.

A line is formatted where it is logged, and queued. The thread writes queued lines, many with one call. The queue is
bounded: while standard output is blocked, further lines are dropped and counted, and a later line reports their number.
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
"""Between two writes, so that a busy service writes many lines with one call. The first line after a pause is written
at once."""
FLUSH_SECONDS = 1.0
"""How long the end of the process waits for the last lines. It must not hang on its logs."""
FLUSH_POLL_SECONDS = 0.002


class LogWriter(logging.Handler):
    """Writes to a file descriptor.

    The garbage collector may run a finalizer at any point of this code, in both threads, and the finalizer may log
    ("Task was destroyed but it is pending!"). So `emit` may be called within itself and within the writing thread. The
    only lock is the handler's own, which is reentrant and which the writing thread does not use. Each counter is
    changed by one thread only.

    :param descriptor: of standard output.
    :param max_queued_bytes: further lines are dropped.
    """

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_queued_bytes = max_queued_bytes
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # Changed by `emit`:
        self._queued_bytes = 0
        self._dropped = 0
        # Changed by the writing thread:
        self._written_bytes = 0
        """Including failed writes."""
        self._lost = 0
        """Lines of failed writes."""
        self._reported = 0
        """Dropped and lost lines that have been reported."""
        self._counting = threading.Lock()
        self._counted = 0
        """Dropped and lost lines in the metric."""
        self._process = os.getpid()
        threading.Thread(target=self._run, name="log-writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record, or drop it if the queue is full. An empty queue accepts any length."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 — reported on standard error, as logging does
            self.handleError(record)
            return
        if os.getpid() != self._process:  # a process that a task handler forked has no writing thread
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
        """Wait until the lines queued so far are written, for `FLUSH_SECONDS` at most."""
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
        """Update the metric, unless another call does: the metric's lock is not reentrant."""
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
            "msg": "log lines were dropped because standard output was blocked",
            "action": "log",
            "lines": dropped,
        }
        return self.format(logging.makeLogRecord(fields)).encode(errors="backslashreplace") + b"\n"

    def _write(self, data: bytes) -> bool:
        """Write all data; return False if standard output is closed."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Group lines up to the length that a pipe writes atomically, so that no other output gets into a line."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    yield chunk
