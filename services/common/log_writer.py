"""The handler that writes log lines to standard output from a thread, so that a slow reader does not stop the service.

A line is formatted where it is logged, and queued. A thread writes what is queued, many lines with one call. The queue
is bounded: while standard output takes nothing, further lines are dropped and counted, and a line says so afterwards.
"""

import logging
import os
import select
import threading
import time

from services.common.metrics import LOG_LINES_DROPPED

MAX_QUEUED_BYTES = 4 * 1024 * 1024
LINGER_SECONDS = 0.01
"""Between two writes, so that a busy service writes its lines in batches. The first line after a pause waits for
nothing."""
FLUSH_SECONDS = 1.0
"""How long the end of the process waits for the last lines. A service that has ended must not hang on its logs."""


class LogWriter(logging.Handler):
    """Writes to a file descriptor.

    :param descriptor: the one of standard output.
    :param max_queued_bytes: lines beyond that are dropped.
    """

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_queued_bytes = max_queued_bytes
        self._queued: list[bytes] = []
        self._queued_bytes = 0
        """Including what is being written."""
        self._dropped = 0
        """Since the last line that said so."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._written = threading.Condition(self._lock)
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="log-writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record, or drop it where too many wait."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 — logging's way: report it on standard error and go on
            self.handleError(record)
            return
        if os.getpid() != self._process:  # a fork of a handler's own has no writing thread
            self._write(line)
            return
        with self._lock:
            if self._queued_bytes + len(line) > self._max_queued_bytes:
                self._dropped += 1
                LOG_LINES_DROPPED.inc()
                return
            self._queue(line)
        if not self._wake.is_set():
            self._wake.set()

    def _queue(self, line: bytes) -> None:
        self._queued.append(line)
        self._queued_bytes += len(line)

    def flush(self) -> None:
        """Wait until everything is written, for `FLUSH_SECONDS` at most."""
        if os.getpid() != self._process:
            return
        with self._written:
            self._written.wait_for(lambda: not self._queued_bytes, FLUSH_SECONDS)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._write_queued()
            time.sleep(LINGER_SECONDS)

    def _write_queued(self) -> None:
        with self._lock:
            lines, self._queued = self._queued, []
        batch = b"".join(lines)
        is_written = self._write(batch)
        with self._written:
            self._queued_bytes -= len(batch)
            if is_written and self._dropped:
                self._queue(self._report(self._dropped))  # beyond the bound, so that it is never dropped itself
                self._dropped = 0
                self._wake.set()
            self._written.notify_all()
        if not is_written:
            LOG_LINES_DROPPED.inc(len(lines))

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
