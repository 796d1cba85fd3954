"""The supervisor with stub processes: order, readiness, failures, stop, and leftovers."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from local.plan import ROOT
from tests.support.ports import free_port_base
from tests.support.processes.child import STOP_SECONDS, plain_python
from tests.support.processes.probes import alive, answers_200, get
from tests.support.processes.stub_stack import OUTPUTS
from tests.support.processes.supervised import Supervised, printed_pids, supervised
from tests.support.waiting import wait_until_sync

Starter = Callable[..., Supervised]
STUB_STACK = "tests.support.processes.stub_stack"
RUN_IN_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
"""Python code that runs a command with the terminal of an open file as its own."""


@pytest.fixture
def base() -> int:
    return free_port_base()


@pytest.fixture
def start(tmp_path: Path, base: int) -> Iterator[Starter]:
    """Start stub processes: `start(aws="", bootstrap="once", token="", page="die")`, the values are switches."""
    with ExitStack() as stack:

        def starter(port_base: int = base, environment: dict[str, str] | None = None, **programs: str) -> Supervised:
            arguments = [str(tmp_path), *described(programs, port_base)]
            extra = {"LOCAL_PORT_BASE": str(port_base), **(environment or {})}
            return stack.enter_context(supervised(STUB_STACK, arguments, extra))

        yield starter


def described(programs: Mapping[str, str], base: int) -> list[str]:
    """The arguments of `stub_stack`: each program has one of the ports from `base` on."""
    return [
        f"{name}={','.join([str(base + offset), *switches.split()])}"
        for offset, (name, switches) in enumerate(programs.items())
    ]


def started(supervisor: Supervised) -> dict[str, int]:
    supervisor.wait_for_output(r"ready in \d")
    return supervisor.pids()


def have_ended(pids: dict[str, int]) -> bool:
    return not any(alive(pid) for pid in pids.values())


def others(pids: dict[str, int], name: str) -> dict[str, int]:
    return {each: pid for each, pid in pids.items() if each != name}


FOUR = {"aws": "", "bootstrap": "once", "token": "", "page": ""}


def test_starts_in_order_and_reports_when_everything_is_ready(start: Starter, base: int) -> None:
    supervisor = start(**FOUR)
    pids = started(supervisor)
    assert set(list(pids)[:2]) == {"aws", "bootstrap"}
    assert set(list(pids)[2:]) == {"token", "page"}
    assert f"http://localhost:{base} " in supervisor.output()
    assert f"http://localhost:{base}/task" in supervisor.output()


def test_every_line_has_the_name_of_its_process(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="once", token="chatty")
    started(supervisor)
    supervisor.wait_for_output("end of chat")
    said = [line for line in supervisor.output().split("\n") if " x" in line or "started" in line or "after" in line]
    assert all(re.match(r"(aws|bootstrap|token) +\| ", line) for line in said)
    assert sum(line.count("xx") * 2 for line in said) == 40_000
    assert "\x1b" not in supervisor.output()


def test_the_services_wait_for_the_bootstrap_and_a_failed_one_stops_everything(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="fail", token="")
    assert supervisor.ended() == 1
    assert "bootstrap" in supervisor.output()
    assert "ended with exit status 4" in supervisor.output()
    assert "token started" not in supervisor.output()
    assert have_ended(supervisor.pids())


def test_a_process_that_is_not_ready_in_time_is_named_with_its_last_lines(start: Starter) -> None:
    supervisor = start(
        aws="", bootstrap="once", token="not-ready", page="", environment={"DUMMY_READY_WITHIN_SECONDS": "3"}
    )
    assert supervisor.ended() == 1
    reason = supervisor.output().rpartition("\n\n")[2]
    assert re.search(r"token \(pid \d+\) did not answer 200 at http://127.0.0.1:\d+/ within 3 s", reason)
    assert "    token started as" in reason
    assert have_ended(supervisor.pids())


def test_a_process_that_dies_is_named_and_starts_again_alone(start: Starter, base: int) -> None:
    supervisor = start(aws="", bootstrap="once", token="die", page="")
    pids = started(supervisor)
    with pytest.raises(OSError, match=r"Remote end closed|reset"):
        get(f"http://127.0.0.1:{base + 2}/die")
    supervisor.wait_for_output("token runs again")
    assert re.search(rf"token \(pid {pids['token']}\) ended with exit status 3", supervisor.output())
    assert "    token is asked to die" in supervisor.output()
    assert re.search(r"^token starts again in (0\.[5-9]|1\.0) s\.$", supervisor.output(), re.MULTILINE)
    assert others(supervisor.pids(), "token") == others(pids, "token")
    assert supervisor.pids()["token"] != pids["token"]


def test_the_pauses_grow_while_a_process_keeps_dying(start: Starter, base: int) -> None:
    supervisor = start(aws="", bootstrap="once", token="")
    started(supervisor)
    for restarts in range(1, 4):
        os.kill(supervisor.pids()["token"], signal.SIGKILL)
        supervisor.wait_for_count("token runs again", restarts)
    pauses = [float(seconds) for seconds in re.findall(r"token starts again in (\S+) s", supervisor.output())]
    assert [0.5 <= pauses[0] <= 1, 1 <= pauses[1] <= 2, 2 <= pauses[2] <= 4] == [True, True, True]
    assert "was ended by SIGKILL" in supervisor.output()


def test_the_bootstrap_runs_again_after_an_emulator_and_the_services_stay(start: Starter) -> None:
    supervisor = start(**FOUR)
    pids = started(supervisor)
    os.kill(pids["aws"], signal.SIGKILL)
    supervisor.wait_for_output("bootstrap is done again")
    assert supervisor.pids()["aws"] != pids["aws"]
    assert {name: supervisor.pids()[name] for name in ("token", "page")} == {
        name: pids[name] for name in ("token", "page")
    }


def test_the_services_restart_if_the_stage_was_lost_with_an_emulator(start: Starter, tmp_path: Path, base: int) -> None:
    supervisor = start(**FOUR)
    pids = started(supervisor)
    replace(OUTPUTS, user_pool_id="another").write(tmp_path / ".local" / str(base) / "outputs.json")
    os.kill(pids["aws"], signal.SIGKILL)
    supervisor.wait_for_output("token runs again")
    supervisor.wait_for_output("page runs again")
    assert "The emulated AWS has lost its state" in supervisor.output()


def test_a_signal_during_the_pause_of_a_restart_stops_everything(start: Starter) -> None:
    supervisor = start(**FOUR)
    pids = started(supervisor)
    os.kill(pids["token"], signal.SIGKILL)
    supervisor.wait_for_output("token starts again in")
    supervisor.signal(signal.SIGINT)
    assert supervisor.ended() == 0
    assert supervisor.output().endswith("stopped\n")
    assert have_ended(supervisor.pids())


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "code" / "handler.py"
    path.parent.mkdir()
    path.write_text("good")
    return path


def test_a_change_of_the_code_restarts_its_process_alone(start: Starter, code: Path) -> None:
    supervisor = start(aws="", bootstrap="once", token="", processor="code")
    pids = started(supervisor)
    (code.parent / "data.txt").write_text("no code")
    code.write_text("better")
    supervisor.wait_for_output("processor runs again")
    assert supervisor.output().count("has changed: processor restarts") == 1
    assert "handler.py has changed" in supervisor.output()
    assert "processor got SIGTERM" in supervisor.output()
    assert others(supervisor.pids(), "processor") == others(pids, "processor")


def test_a_signal_during_a_restart_lets_the_process_stop_in_order(start: Starter, code: Path, base: int) -> None:
    supervisor = start(aws="", bootstrap="once", processor="code stubborn")
    pids = started(supervisor)
    code.write_text("better")
    supervisor.wait_for_output("processor got SIGTERM")
    supervisor.signal(signal.SIGINT)
    supervisor.wait_for_output("stopping")
    with pytest.raises(OSError, match=r"Remote end closed|reset"):
        get(f"http://127.0.0.1:{base + 2}/die")
    assert supervisor.ended() == 0
    assert supervisor.output().count("processor got SIGTERM") == 1
    assert "processor is asked to die" in supervisor.output()
    assert have_ended(pids)


def test_code_that_cannot_be_used_waits_for_the_next_change(start: Starter, code: Path) -> None:
    supervisor = start(aws="", bootstrap="once", processor="code")
    started(supervisor)
    for number, text in enumerate(("broken", "still broken"), 1):
        code.write_text(text)
        supervisor.wait_for_count(f"processor starts again when a Python file in {code.parent} changes.", number)
    assert supervisor.output().count("    processor cannot use its code") == 2
    code.write_text("good")
    supervisor.wait_for_output("processor runs again")


def test_code_that_cannot_be_used_does_not_stop_the_first_start(start: Starter, code: Path) -> None:
    code.write_text("broken")
    supervisor = start(aws="", bootstrap="once", processor="code", page="")
    started(supervisor)
    supervisor.wait_for_output("processor starts again when")
    code.write_text("good")
    supervisor.wait_for_output("processor runs again")


def test_the_output_of_each_process_is_in_its_log_file(start: Starter, tmp_path: Path, base: int) -> None:
    supervisor = start(aws="", bootstrap="once", token="chatty")
    started(supervisor)
    supervisor.wait_for_output("end of chat")
    logs = tmp_path / ".local" / str(base) / "logs"
    assert {path.name for path in logs.iterdir()} == {"aws.log", "bootstrap.log", "token.log"}
    assert f"token started as {supervisor.pids()['token']}\n" in (logs / "token.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_reverse_order_with_status_0(start: Starter, number: signal.Signals) -> None:
    supervisor = start(**FOUR)
    pids = started(supervisor)
    supervisor.signal(number)
    assert supervisor.ended() == 0
    stopped = re.findall(r"(\S+) got SIGTERM", supervisor.output())
    assert set(stopped[:2]) == {"token", "page"}
    assert stopped[2:] == ["aws"]
    assert have_ended(pids)


def test_ctrl_c_in_a_terminal_reaches_only_the_supervisor(tmp_path: Path, base: int) -> None:
    """A real terminal sends Ctrl-C to everything that runs in its foreground."""
    own_side, terminal = pty.openpty()
    stack = plain_python(STUB_STACK, str(tmp_path), *described({"aws": "", "momento": "", "token": ""}, base))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_IN_TERMINAL, str(terminal), *stack],
        env={**os.environ, "LOCAL_PORT_BASE": str(base), "NO_COLOR": "1"},
        pass_fds=[terminal],
    )
    os.close(terminal)
    said = b""
    while b"ready in" not in said:
        said += os.read(own_side, 4096)
    os.write(own_side, b"\x03")
    with suppress(OSError):  # the error of a terminal whose other end is closed
        while chunk := os.read(own_side, 4096):
            said += chunk
    os.close(own_side)
    assert process.wait(STOP_SECONDS) == 0
    assert b"Traceback" not in said
    assert b"SIGINT" not in said
    assert re.findall(rb"(\w+) got SIGTERM", said)[0] == b"token"


def test_a_signal_while_starting_stops_what_has_started(start: Starter) -> None:
    supervisor = start(aws="not-ready", bootstrap="once", token="")
    supervisor.wait_for_output("aws started")
    supervisor.wait_for_output("bootstrap started")
    supervisor.signal(signal.SIGINT)
    assert supervisor.ended() == 0
    assert "token started" not in supervisor.output()
    assert have_ended(supervisor.pids())


def test_a_process_that_does_not_stop_in_time_is_killed(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="once", token="stubborn", environment={"DUMMY_STOP_WITHIN_SECONDS": "0.5"})
    pids = started(supervisor)
    supervisor.signal(signal.SIGINT)
    supervisor.wait_for_output("token got SIGTERM")
    assert supervisor.ended() == 0
    assert have_ended(pids)


def test_a_second_signal_kills_at_once(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="once", token="stubborn", environment={"DUMMY_STOP_WITHIN_SECONDS": "60"})
    pids = started(supervisor)
    supervisor.signal(signal.SIGINT)
    supervisor.wait_for_output("token got SIGTERM")
    supervisor.signal(signal.SIGINT)
    assert supervisor.ended() == 0
    assert have_ended(pids)


def test_output_that_a_grandchild_keeps_open_causes_no_traceback(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="once", token="holder", page="")
    pids = started(supervisor)
    supervisor.signal(signal.SIGINT)
    assert supervisor.ended() == 0
    os.kill(pids.pop("holder"), signal.SIGKILL)
    assert supervisor.output().endswith("stopped\n")
    assert "Traceback" not in supervisor.output()
    assert have_ended(pids)


def test_further_signals_change_nothing(start: Starter) -> None:
    supervisor = start(
        aws="stubborn", bootstrap="once", token="stubborn", environment={"DUMMY_STOP_WITHIN_SECONDS": "60"}
    )
    pids = started(supervisor)
    supervisor.signal(signal.SIGINT)
    supervisor.wait_for_output("token got SIGTERM")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT) * 5:
        supervisor.signal(number)
    assert supervisor.ended() == 0
    assert supervisor.output().count("killing") == 1
    assert supervisor.output().endswith("stopped\n")
    assert have_ended(pids)


def test_sigkill_of_the_supervisor_leaves_no_orphan(start: Starter) -> None:
    supervisor = start(aws="", bootstrap="once", token="", page="stubborn")
    pids = started(supervisor)
    supervisor.signal(signal.SIGKILL)
    supervisor.ended()
    wait_until_sync(lambda: have_ended(pids), "no orphans")


def test_a_closed_output_stops_everything(tmp_path: Path, base: int) -> None:
    """`head` or a terminal closes the output, which is a pipe, unlike that of the other tests."""
    process = subprocess.Popen(
        plain_python(STUB_STACK, str(tmp_path), *described(FOUR, base)),
        cwd=ROOT,
        env={**os.environ, "LOCAL_PORT_BASE": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        output = ""
        for line in process.stdout:
            output += line
            if "ready in" in line:
                break
        process.stdout.close()
        answers_200(f"http://127.0.0.1:{base + 2}/say")  # or is stopped before it has answered
        assert process.wait(STOP_SECONDS) == 1
    finally:
        process.kill()  # its children end with it
        process.wait(STOP_SECONDS)
    pids = printed_pids(output)
    assert pids.keys() == FOUR.keys()
    assert have_ended(pids)


def test_a_port_in_use_is_named_with_its_purpose_and_owner_before_anything_starts(start: Starter, base: int) -> None:
    with closing(socket.create_server(("127.0.0.1", base + 2))):
        supervisor = start(**FOUR)
        assert supervisor.ended() == 2
    owner = rf"\S+ \(pid {os.getpid()}\)"
    assert re.search(f"Port {base + 2} is in use by {owner}, and is needed for the ingest service", supervisor.output())
    assert "LOCAL_PORT_BASE=18080 make up" in supervisor.output()
    assert not supervisor.pids()


def test_a_second_instance_is_rejected_and_the_first_continues(start: Starter, base: int) -> None:
    first = start(**FOUR)
    pids = started(first)
    second = start(**FOUR)
    assert second.ended() == 2
    assert f"is already running (process {first.pid}): http://localhost:{base}" in second.output()
    assert all(alive(pids[name]) for name in ("aws", "token", "page"))


def test_after_a_sigkill_the_next_start_needs_no_clean_up(start: Starter) -> None:
    first = start(**FOUR)
    pids = started(first)
    first.signal(signal.SIGKILL)
    first.ended()
    wait_until_sync(lambda: have_ended(pids), "no orphans")
    assert started(start(**FOUR))


@pytest.mark.parametrize("value", ["http", "-1", "80", "70000", "8080.5", "9" * 5000, "٣٤٥٦٧"])
def test_an_invalid_port_base_is_rejected_without_a_traceback(start: Starter, value: str) -> None:
    supervisor = start(environment={"LOCAL_PORT_BASE": value}, **FOUR)
    assert supervisor.ended() == 2
    assert supervisor.output().startswith("LOCAL_PORT_BASE must be ")
    assert "Traceback" not in supervisor.output()
