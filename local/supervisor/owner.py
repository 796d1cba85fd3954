"""Which process listens on a port, where that can be told cheaply."""

import shutil
import subprocess
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"
LSOF_WITHIN_SECONDS = 2.0


def owner_of(port: int) -> str | None:
    """`name (pid N)`, or None where it cannot be told, for example because it is another user's."""
    return _from_proc(port) if (PROC / "net" / "tcp").exists() else _from_lsof(port)


def _from_proc(port: int) -> str | None:
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in PROC.glob("[0-9]*"):
        if _holds(process, sockets):
            return f"{_name(process)} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        rows = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
        for fields in map(str.split, rows):
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir())
    except OSError:
        return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"


def _from_lsof(port: int) -> str | None:
    lsof = shutil.which("lsof") or shutil.which("lsof", path="/usr/sbin")
    if not lsof:
        return None
    ask = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=LSOF_WITHIN_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    fields = {line[:1]: line[1:] for line in reversed(answer.stdout.splitlines()) if line}
    return f"{fields.get('c', 'a process')} (pid {fields['p']})" if "p" in fields else None
