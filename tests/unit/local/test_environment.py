"""What each process of the local stack gets to see of the environment, and what it never gets."""

import re
from pathlib import Path

import pytest

from local import environment
from local.aws.key_pair import KeyPair
from local.environment import Environment, InvalidLocalPassError
from local.outputs import Outputs
from local.plan import Plan
from local.ports import Ports

PORTS = Ports(18_080)
KEYS = KeyPair("LOCALKEY", "the-secret-of-this-run")
OUTPUTS = Outputs(
    queue_url="http://127.0.0.1:14566/000000000000/tasks",
    dead_letter_queue_url="http://127.0.0.1:14566/000000000000/dlq",
    user_pool_id="us-east-1_pool",
    user_pool_client_id="client",
    cache_name="cache",
    momento_api_key_param_name="/notification-api/local/momento-api-key",
)
SHELL = {
    "PATH": "/usr/bin",
    "HOME": "/home/dev",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real-secret",
    "AWS_SESSION_TOKEN": "real-token",
    "AWS_CONFIG_FILE": "/home/dev/.aws/config",
    "AWS_ENDPOINT_URL_SQS": "https://sqs.us-east-1.amazonaws.com",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/credentials",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    "GITHUB_TOKEN": "ghp_real",
    "MOMENTO_API_KEY": "real-momento-key",
    "HTTPS_PROXY": "http://proxy:3128",
    "PYTHONPATH": "/home/dev/lib",
    "TASK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/prod",
    "PORT": "1",
    "DB_URL": "postgres://localhost",
}


def environments(shell: dict[str, str]) -> dict[str, Environment]:
    """Of every process."""
    services = {
        name: environment.service(name, shell, PORTS, KEYS, OUTPUTS) for name in ("token", "ingest", "processor")
    }
    return services | {
        "aws": environment.ministack(shell, PORTS, KEYS, Path("/state")),
        "momento": environment.momento(shell, PORTS),
        "bootstrap": environment.bootstrap(shell, PORTS, KEYS),
        "page": environment.page(shell, PORTS, KEYS, OUTPUTS, Path("/bundle"), Path("/logs")),
    }


ALL = sorted(environments(SHELL))
USES_AWS = ["aws", "bootstrap", "ingest", "page", "processor", "token"]


@pytest.mark.parametrize("name", ALL)
def test_no_process_gets_the_developers_own_variables(name: str) -> None:
    made = environments(SHELL)[name]
    leaked = {key for key, value in SHELL.items() if made.get(key) == value}
    assert leaked == {"PATH", "HOME"}


@pytest.mark.parametrize("name", ALL)
def test_an_empty_shell_is_enough(name: str) -> None:
    assert environments({})[name]["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize("name", USES_AWS)
def test_an_aws_sdk_can_only_find_the_emulated_aws(name: str) -> None:
    made = environments(SHELL)[name]
    assert {key: value for key, value in made.items() if key.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:14566",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "LOCALKEY",
        "AWS_SECRET_ACCESS_KEY": "the-secret-of-this-run",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_the_momento_emulator_gets_no_aws_settings() -> None:
    assert not [key for key in environments(SHELL)["momento"] if key.startswith("AWS_")]


@pytest.mark.parametrize(("name", "port", "ops_port"), [("token", "18081", "19081"), ("ingest", "18082", "19082")])
def test_a_service_with_an_api_listens_only_on_this_machine_and_serves_the_application(
    name: str, port: str, ops_port: str
) -> None:
    made = environments(SHELL)[name]
    assert (made["HOST"], made["PORT"], made["OPS_PORT"]) == ("127.0.0.1", port, ops_port)
    assert made["ALLOWED_ORIGINS"] == "http://localhost:18080,http://127.0.0.1:18080,http://[::1]:18080"


def test_the_developers_own_origins_are_allowed_by_every_server_that_a_web_page_calls() -> None:
    made = environments(SHELL | {"LOCAL_ORIGINS": "http://localhost:5173, https://App.test:443"})
    own = "http://localhost:18080,http://127.0.0.1:18080,http://[::1]:18080"
    for name in ("token", "ingest", "aws", "momento", "page"):
        assert made[name]["ALLOWED_ORIGINS"] == f"{own},http://localhost:5173,https://app.test", name


@pytest.mark.parametrize(
    ("name", "ports"), [("token", "18081 19081"), ("ingest", "18082 19082"), ("processor", "19083")]
)
def test_a_service_answers_only_to_the_names_of_this_machine(name: str, ports: str) -> None:
    hosts = {f"{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]") for port in ports.split()}
    assert set(environments(SHELL)[name]["ALLOWED_HOSTS"].split(",")) == hosts


def test_the_processor_has_no_api() -> None:
    made = environments(SHELL)["processor"]
    assert made["OPS_PORT"] == "19083"
    assert not {"PORT", "ALLOWED_ORIGINS"} & set(made)


@pytest.mark.parametrize("name", ["token", "ingest", "processor"])
def test_a_service_gets_the_settings_of_its_stage(name: str) -> None:
    made = environments({})[name]
    assert made["SERVICE_NAME"] == "notification-api"
    assert made["STAGE_NAME"] == "local"
    assert made["TASK_QUEUE_URL"] == OUTPUTS.queue_url
    assert made["OIDC_ISSUER"] == "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool"
    assert made["OIDC_AUDIENCE"] == "client"
    assert made["OIDC_JWKS_URL"] == "http://127.0.0.1:14566/us-east-1_pool/.well-known/jwks.json"
    assert made["MOMENTO_API_KEY_PARAM_NAME"] == "/notification-api/local/momento-api-key"
    assert made["MOMENTO_ENDPOINT"] == "http://127.0.0.1:18084"
    assert made["MOMENTO_WEB_ENDPOINT"] == "http://localhost:18085"


def test_the_developer_may_choose_a_handler_and_its_speed() -> None:
    made = environments({"TASK_HANDLER": "my.handlers:resize", "ECHO_SECONDS": "0.5", "LOG_LEVEL": "DEBUG"})
    processor = made["processor"]
    assert processor["TASK_HANDLER"] == "my.handlers:resize"
    assert processor["ECHO_SECONDS"] == "0.5"
    assert processor["LOG_LEVEL"] == "DEBUG"
    assert made["aws"]["LOG_LEVEL"] == "WARNING"


def test_variables_of_local_pass_reach_only_the_processor() -> None:
    made = environments(SHELL | {"LOCAL_PASS": "DB_URL, PYTHONPATH"})
    assert made["processor"]["DB_URL"] == "postgres://localhost"
    assert made["processor"]["PYTHONPATH"] == "/home/dev/lib"
    assert "DB_URL" not in made["token"]


def test_a_proxy_for_the_handler_is_not_used_for_the_stack() -> None:
    shell = SHELL | {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "http://proxy:3128", "no_proxy": "internal.test"}
    one = environments(shell | {"LOCAL_PASS": "HTTPS_PROXY"})["processor"]
    assert (one["NO_PROXY"], one["no_proxy"]) == ("localhost,127.0.0.1", "localhost,127.0.0.1")
    both = environments(shell | {"LOCAL_PASS": "http_proxy,no_proxy"})["processor"]
    assert both["no_proxy"] == both["NO_PROXY"] == "internal.test,localhost,127.0.0.1"
    assert not [name for name in environments(shell)["processor"] if name.lower().endswith("_proxy")]


@pytest.mark.parametrize("names", ["", " "])
def test_an_empty_local_pass_passes_nothing(names: str) -> None:
    assert environments(SHELL | {"LOCAL_PASS": names})["processor"] == environments(SHELL)["processor"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("NOPE", "is not set in the shell of `make up`"),
        ("db_url", "is not set in the shell of `make up`"),
        ("AWS_X", "is a setting of AWS"),
        ("AWS_PROFILE", "is a setting of AWS"),
        ("aws_profile", "is a setting of AWS"),
        ("PATH", "is passed without LOCAL_PASS"),
        ("ECHO_SECONDS", "is passed without LOCAL_PASS"),
        ("TASK_QUEUE_URL", "is set by the stack"),
        ("PORT", "is set by the stack"),
        ("LOCAL_PASS", "is set by the stack"),
        ("DB URL", "is not the name of a variable"),
        ("OTHER=the-secret", "is not the name of a variable"),
        ("$DB_URL", "is not the name of a variable"),
        ("1A", "is not the name of a variable"),
        ("\u0661", "is not the name of a variable"),
        ("", "is not the name of a variable"),
    ],
)
def test_a_variable_that_cannot_be_passed_is_rejected(name: str, problem: str) -> None:
    with pytest.raises(InvalidLocalPassError) as refused:
        Plan(PORTS, SHELL | {"LOCAL_PASS": f"DB_URL,{name}"})
    assert str(refused.value).startswith(f"LOCAL_PASS cannot be used: {name.partition('=')[0]!r} {problem}")
    assert not re.search("postgres://|the-secret", str(refused.value))


def test_every_mistake_of_local_pass_is_named_at_once() -> None:
    with pytest.raises(InvalidLocalPassError, match=r"'AWS_X'.*'NOPE'.*'PATH'"):
        Plan(PORTS, SHELL | {"LOCAL_PASS": "NOPE,AWS_X,DB_URL,PATH"})


@pytest.mark.parametrize("name", sorted(environments(SHELL)["processor"]))
def test_no_variable_that_the_processor_gets_anyway_can_be_passed(name: str) -> None:
    with pytest.raises(InvalidLocalPassError):
        Plan(PORTS, SHELL | {name: "of the shell", "LOCAL_PASS": name})


def test_the_emulated_aws_listens_only_on_this_machine_and_verifies_signatures() -> None:
    made = environments(SHELL)["aws"]
    assert (made["BIND_HOST"], made["GATEWAY_PORT"], made["AUTH"]) == ("127.0.0.1", "14566", "true")


def test_the_application_gets_addresses_that_a_browser_can_use() -> None:
    made = environments(SHELL)["page"]
    assert made["PAGE_PORT"] == "18080"
    assert made["PAGE_COGNITO_URL"] == "http://localhost:14566"
    assert made["PAGE_MOMENTO_URL"] == "http://localhost:18085"


@pytest.mark.parametrize(
    ("quotas", "history", "tasks"),
    [({}, "400", "200"), ({"MOMENTO_QUOTAS": "raised"}, "400", "200"), ({"MOMENTO_QUOTAS": "default"}, None, None)],
)
def test_the_limits_of_reads_are_higher_with_raised_quotas(
    quotas: dict[str, str], history: str | None, tasks: str | None
) -> None:
    made = environments(quotas)
    assert made["token"].get("HISTORY_OPERATIONS_PER_SECOND") == history
    assert made["token"].get("TASK_OPERATIONS_PER_SECOND") == tasks
    others = made["ingest"] | made["processor"]
    assert not {"HISTORY_OPERATIONS_PER_SECOND", "TASK_OPERATIONS_PER_SECOND"} & others.keys()
