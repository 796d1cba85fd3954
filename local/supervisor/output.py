"""The output of one program: to the console, to its log file, and the last lines for errors."""

from collections import deque
from io import FileIO
from pathlib import Path

from local.supervisor.console import Console

LAST_LINES = 15
MAX_LOG_BYTES = 5_000_000
"""A larger log file is renamed to `<name>.log.1`, which replaces the one before."""


class Output:
    """Takes the lines of a program, over all its restarts.

    :param logs: the folder of the log files.
    """

    def __init__(self, name: str, console: Console, logs: Path) -> None:
        self._name = name
        self._console = console
        self._log = LogFile(logs, name)
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        """Of the current process."""

    def line(self, text: str) -> None:
        """Take one line."""
        self.last_lines.append(text)
        self._log.append(text)
        self._console.line(self._name, text)

    def last_lines_text(self) -> str:
        """Return the last lines as the end of an error message; empty if there are none."""
        return "".join(["\nIts last lines:", *(f"\n    {line}" for line in self.last_lines)]) if self.last_lines else ""

    def close(self) -> None:
        """Close the log file."""
        self._log.close()


class LogFile:
    """`<name>.log`: the raw output of one program, over all its restarts and those of the stack.

    A file that cannot be written, such as on a full disk, never stops the stack: the line is only on the console then.
    The file is opened again for the next line, so that logging continues once there is space.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.log"
        self._file: FileIO | None = None

    def append(self, line: str) -> None:
        """Write a line without a buffer: a developer may be reading the file."""
        try:
            self._opened().write(line.encode("utf-8", "replace") + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> FileIO:
        if self._file is not None and self._file.tell() >= MAX_LOG_BYTES:
            self.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(str(self._path), "ab")
        return self._file
