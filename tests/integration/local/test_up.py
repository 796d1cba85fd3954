"""`make up` and `make demo` as a developer uses them: the real stack, the real demonstration."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from local.plan import ROOT
from local.ports import Ports
from local.supervisor.port_check import is_taken
from tests.support.processes.probes import alive, answers_200
from tests.support.processes.supervised import Supervised, supervised
from tests.support.waiting import wait_until_sync

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

PROGRAMS = {"aws", "momento", "token", "ingest", "processor", "page"}
DEVELOPERS_OWN = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "the-developers-own-secret",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ECHO_SECONDS": "0.2",
}


@pytest.fixture(scope="module")
def ports(new_ports: Callable[[], Ports]) -> Ports:
    return new_ports()


@pytest.fixture(scope="module")
def stack(ports: Ports) -> Iterator[Supervised]:
    environment = {"LOCAL_PORT_BASE": str(ports.base), **DEVELOPERS_OWN}
    with supervised("local.up", extra=environment) as running:
        running.wait_for_output(r"ready in \d", 60)
        yield running
        running.signal(signal.SIGINT)
        running.ended()


def demo(ports: Ports, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={**os.environ, **DEVELOPERS_OWN, "LOCAL_PORT_BASE": str(ports.base), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def children(pid: int) -> dict[str, int]:
    """The processes that a supervisor started, by the module that each runs."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found = re.findall(rf"^ *(\d+) +{pid} .* -m local\.parent_watch \d+ (\S+)", listed, re.MULTILINE)
    return {module: int(child) for child, module in found}


def test_the_printed_urls_answer(stack: Supervised, ports: Ports) -> None:
    for url in re.findall(r"^  (http://localhost:\d+\S*) ", stack.output(), re.MULTILINE):
        if url.endswith(("/notifications", "/task")) or url == f"http://localhost:{ports.momento_web}":
            continue
        assert answers_200(url), url


def test_the_demonstration_prints_each_notification_and_a_summary(stack: Supervised, ports: Ports) -> None:
    shown = demo(ports, {"N": "3"})
    assert shown.returncode == 0, shown.stderr
    finished = re.findall(r"^ *[\d.]+ s  finished  Finished task: demo task (\d)$", shown.stdout, re.MULTILINE)
    assert sorted(finished) == ["1", "2", "3"]
    assert re.search(r"^3 tasks, 3 notifications; .*p50 .* p95 .* max ", shown.stdout, re.MULTILINE)
    assert shown.stderr == ""


def test_the_demonstration_shows_progress_a_failure_a_large_result_a_cancelled_and_an_expired_task(
    stack: Supervised, ports: Ports
) -> None:
    shown = demo(ports, {"N": "1"})
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for line in (
        r" *[\d.]+ s  failure   failed +Failed task: This type of task always fails \(reason: permanent\)",
        r" *[\d.]+ s  steps     progress +33 %, step 1 of 3",
        r" *[\d.]+ s  steps     finished +Finished task: 3 steps",
        r" *[\d.]+ s  large     finished +Finished task: 16 KiB; its data is too large for a notification",
        r"GET /task/[\w-]+/result: 16,396 bytes of data, .*",
        r"POST /task/[\w-]+/cancel: 202, the task was running",
        r'GET /task/[\w-]+: cancelled +Cancelled task: {"steps": 60}',
        r'GET /task/[\w-]+: expired +Expired task: {"steps": 1}',
    ):
        assert re.search(rf"^{line}$", shown.stdout, re.MULTILINE), (line, shown.stdout)
    ids = re.findall(r"/task/([\w-]+)[/:]", shown.stdout)
    (cancelled,) = {task_id for task_id in ids if ids.count(task_id) == 2}
    assert f"GET /task/{cancelled}: cancelled" in shown.stdout


def test_the_mailed_code_is_a_line_of_the_output(stack: Supervised, ports: Ports) -> None:
    email = re.search(r"signed up as (\S+),", demo(ports, {"N": "1"}).stdout)
    assert email
    stack.wait_for_output(rf"page +\| mail to {re.escape(email[1])}: code \d{{6}}\n")


def test_the_services_do_not_see_the_developers_own_credentials(stack: Supervised) -> None:
    if not Path("/proc").is_dir():
        pytest.skip("environments of processes are read from /proc")
    processes = children(stack.pid)
    assert len(processes) == len(PROGRAMS)
    for pid in processes.values():
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert "AKIAREAL" not in environment
        assert "the-developers-own-secret" not in environment
        assert "AWS_PROFILE" not in environment
        assert "127.0.0.1:9\0" not in environment


def test_no_secret_is_in_the_output_or_in_files(stack: Supervised, ports: Ports) -> None:
    outputs = (ROOT / ".local" / str(ports.base) / "outputs.json").read_text()
    for text in (stack.output(), outputs):
        assert "eyJ" not in text


def test_a_second_make_up_is_rejected_and_changes_nothing(stack: Supervised, ports: Ports) -> None:
    with supervised("local.up", extra={"LOCAL_PORT_BASE": str(ports.base)}) as second:
        assert second.ended() == 2
        assert "already running" in second.output()
    assert answers_200(f"http://localhost:{ports.page}/healthz")


def test_the_quotas_of_a_new_account_can_be_chosen(new_ports: Callable[[], Ports]) -> None:
    ports = new_ports()
    extra = {"LOCAL_PORT_BASE": str(ports.base), "MOMENTO_QUOTAS": "default", "ECHO_SECONDS": "0.2"}
    with supervised("local.up", extra=extra) as running:
        running.wait_for_output(r"ready in \d", 60)
        url = f"http://127.0.0.1:{ports.momento_web}/_emulator/settings"
        asked = urllib.request.Request(url, headers={"x-emulator-admin": "1"})
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 -- http
            settings = json.load(answer)
        names = ("topicOperationsPerSecond", "cacheOperationsPerSecond", "subscriptions")
        assert [settings[name] for name in names] == [10, 100, 100]
        assert demo(ports, {"N": "3"}).returncode == 0
        running.signal(signal.SIGINT)
        assert running.ended() == 0


def test_unknown_quotas_are_rejected_without_a_traceback() -> None:
    with supervised("local.up", extra={"MOMENTO_QUOTAS": "huge"}) as running:
        assert running.ended() == 2
        assert running.output() == "MOMENTO_QUOTAS must be raised or default, not 'huge'\n"


def test_invalid_origins_are_rejected_without_a_traceback() -> None:
    with supervised("local.up", extra={"LOCAL_ORIGINS": "http://localhost:5173,*"}) as running:
        assert running.ended() == 2
        assert running.output().startswith(
            "LOCAL_ORIGINS must be comma-separated origins such as http://localhost:5173, "
        )
        assert "not '*'" in running.output()
        assert running.output().count("\n") == 1


def test_each_run_prints_its_own_key_pair_once(stack: Supervised, ports: Ports) -> None:
    found = re.findall(r"AWS_ACCESS_KEY_ID=(\w+) AWS_SECRET_ACCESS_KEY=(\w+)", stack.output())
    ((key_id, secret),) = found
    assert "local" not in {key_id, secret}
    assert len(secret) == 40
    assert stack.output().count(secret) == 1
    for file in (ROOT / ".local" / str(ports.base)).rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("moment", ["aws", r"momento +\|", r"bootstrap +\| created", r"token +\|"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_during_the_start_prints_only_that(
    new_ports: Callable[[], Ports], moment: str, number: signal.Signals
) -> None:
    ports = new_ports()
    with supervised("local.up", extra={"LOCAL_PORT_BASE": str(ports.base)}) as running:
        if moment == "aws":  # which prints nothing itself
            wait_until_sync(lambda: "local.aws" in children(running.pid), "the first process")
        else:
            running.wait_for_output(moment, 60)
        processes = children(running.pid)
        running.signal(number)
        assert running.ended() == 0
        assert running.output().endswith("stopped\n")
        assert "Traceback" not in running.output()
        assert "Error" not in running.output()
    assert not any(alive(pid) for pid in processes.values())
    assert not [port for port in ports.purposes() if is_taken(port)]


def test_ctrl_c_during_the_imports_prints_nothing() -> None:
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'local.stack': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "runpy.run_module('local.up', run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_a_killed_service_starts_again(stack: Supervised, ports: Ports) -> None:
    before = children(stack.pid)
    os.kill(before["services.ingest"], signal.SIGKILL)
    stack.wait_for_output("ingest runs again")
    assert re.search(r"ingest \(pid \d+\) was ended by SIGKILL", stack.output())
    after = children(stack.pid)
    assert [name for name in before if before[name] != after[name]] == ["services.ingest"]
    assert demo(ports, {"N": "1"}).returncode == 0


def test_the_demonstration_reports_that_nothing_runs(new_ports: Callable[[], Ports]) -> None:
    ports = new_ports()
    shown = demo(ports, {})
    assert shown.returncode == 1
    assert shown.stderr == f"Nothing answers at http://localhost:{ports.page}: start it with `make up`.\n"


def test_sigkill_of_the_supervisor_leaves_no_process_and_no_port(new_ports: Callable[[], Ports]) -> None:
    own = new_ports()
    with supervised("local.up", extra={"LOCAL_PORT_BASE": str(own.base)}) as running:
        running.wait_for_output(r"ready in \d", 60)
        processes = children(running.pid)
        running.signal(signal.SIGKILL)
        running.ended()
        wait_until_sync(lambda: not any(alive(pid) for pid in processes.values()), "no orphans")
    assert not [port for port in own.purposes() if is_taken(port)]
