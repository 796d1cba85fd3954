"""The check before an uninstall of the operator: which Stages prevent it, and the message."""

import pytest

from k8s.operator import uninstall_check
from k8s.operator.api.client import Json, Kubernetes, Refused, Unreachable
from k8s.operator.uninstall_check import EXIT_PASSED, EXIT_REFUSED, EXIT_UNKNOWN, check, refusal, run

STAGES_PATH = "/apis/notification-api.io/v1alpha1/stages"


def stages(*names: str) -> list[Json]:
    return [{"metadata": dict(zip(("namespace", "name"), each.split("/"), strict=True))} for each in names]


class Server(Kubernetes):
    """Answers one list; None stands for a cluster without the CRD."""

    def __init__(self, listed: list[Json] | None, error: Exception | None = None) -> None:
        self.listed, self.error = listed, error

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def get(self, path: str, **query: str) -> Json | None:
        assert path == STAGES_PATH
        if self.error:
            raise self.error
        return None if self.listed is None else {"items": self.listed}


def test_every_stage_is_named_with_its_command() -> None:
    message = refusal(stages("b/two", "a/one"), [])
    assert message is not None
    assert message.startswith("2 Stage(s) exist.")
    assert message.index("helm uninstall one -n a") < message.index("helm uninstall two -n b")
    assert "--no-hooks" in message


def test_stages_of_unmanaged_namespaces_do_not_count() -> None:
    assert refusal(stages("b/two"), ["a"]) is None
    assert "helm uninstall one -n a" in str(refusal(stages("b/two", "a/one"), ["a"]))


def test_further_stages_are_counted() -> None:
    message = str(refusal(stages(*(f"n/s{number:02}" for number in range(25))), []))
    assert "25 Stage(s) exist" in message
    assert "and 5 more" in message


async def test_a_cluster_without_the_crd_has_no_stages() -> None:
    assert await check(Server(None), []) is None


@pytest.mark.parametrize(
    ("server", "status", "said"),
    [
        (Server([]), EXIT_PASSED, ""),
        (Server(None), EXIT_PASSED, ""),
        (Server(stages("a/one")), EXIT_REFUSED, "helm uninstall one -n a"),
        (Server([], Unreachable("no answer in time")), EXIT_UNKNOWN, "cannot be listed: no answer in time"),
        (Server([], Refused("forbidden", 403)), EXIT_UNKNOWN, "cannot be listed: forbidden"),
    ],
)
async def test_the_exit_status_refuses_where_stages_exist_or_cannot_be_listed(
    server: Server, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(uninstall_check, "Kubernetes", lambda: server)
    assert await run([]) == status
    assert said in capsys.readouterr().err
