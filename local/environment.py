"""The environment variables of each process of the local stack. All functions are pure.

The processes do not inherit the developer's shell. They get only the variables that any program needs and those listed
here, so that the stack never uses the developer's AWS profiles, proxies or tokens.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local.aws.guard import MAILS_PATH
from local.aws.key_pair import KeyPair
from local.errors import LocalError
from local.handler_folder import handler_path_from
from local.outputs import Outputs
from local.ports import Ports
from local.web_access.access import LOOPBACK_NAMES
from local.web_access.origins import allowed_origins

Environment = dict[str, str]

SERVICE_NAME = "notification-api"
STAGE_NAME = "local"
REGION = "us-east-1"

INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LD_LIBRARY_PATH",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SYSTEMROOT",
    "VIRTUAL_ENV",
)
DEVELOPER_SETTINGS = (
    "LOG_LEVEL",
    "NOTIFICATION_FORMAT",
    "TASK_HANDLER",
    "TASK_TYPES",
    "ECHO_SECONDS",
    "CONCURRENCY",
    "HANDLER_THREADS",
    "MAX_ATTEMPTS",
    "MAX_TASK_SECONDS",
    "RECEIVE_WAIT_SECONDS",
)
"""Settings of the services that `make up` takes from its shell: `ECHO_SECONDS=1 make up`."""

STACK_SETTINGS = frozenset(
    {
        *("SERVICE_NAME", "STAGE_NAME", "TASK_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"),
        *("MOMENTO_API_KEY_PARAM_NAME", "MOMENTO_CACHE_NAME", "MOMENTO_ENDPOINT", "MOMENTO_WEB_ENDPOINT"),
        *("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL"),
        *("HOST", "PORT", "OPS_PORT", "ALLOWED_ORIGINS", "ALLOWED_HOSTS", "SHUTDOWN_GRACE_SECONDS"),
        *("PYTHONUNBUFFERED", "PYTHONUTF8"),
        *("LOCAL_PASS", "LOCAL_PORT_BASE", "LOCAL_ORIGINS", "MOMENTO_QUOTAS", "HANDLER_PATH"),
    }
)
"""Settings of the services that the shell cannot change, and settings of `make up` itself."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidLocalPassError(LocalError):
    """LOCAL_PASS names variables that cannot be passed; the message lists all of them."""


def base_environment(shell: Mapping[str, str]) -> Environment:
    """Return the variables of the developer's shell that every process gets."""
    kept = {name: shell[name] for name in INHERITED_VARIABLES if name in shell}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def passed_variables(shell: Mapping[str, str]) -> Environment:
    """Return the variables that LOCAL_PASS names, for the developer's task handler (`LOCAL_PASS=A,B`).

    :raises InvalidLocalPassError: when a variable cannot be passed.
    """
    given = shell.get("LOCAL_PASS", "")
    names = sorted({name.strip() for name in given.split(",")}) if given.strip() else []
    # The value of a mistaken NAME=value must not appear in a log.
    problems = [f"{name.partition('=')[0]!r} {problem}" for name in names if (problem := _problem(name, shell))]
    if problems:
        raise InvalidLocalPassError(
            f"LOCAL_PASS cannot be used: {'; '.join(problems)}. Example: LOCAL_PASS=DB_URL,DEBUG make up"
        )
    return _bypass_proxy_for_stack({name: shell[name] for name in names})


def _bypass_proxy_for_stack(passed: Environment) -> Environment:
    """Exclude this machine from a passed proxy, which the AWS and Momento SDKs would use for the stack too."""
    if not any(name.lower().endswith("_proxy") for name in passed):
        return passed
    given = passed.get("no_proxy") or passed.get("NO_PROXY")
    direct = ",".join(filter(None, (given, "localhost", "127.0.0.1")))
    return {**passed, "NO_PROXY": direct, "no_proxy": direct}


def _problem(name: str, shell: Mapping[str, str]) -> str | None:
    if not _NAME.fullmatch(name):
        return "is not the name of a variable"
    if name.upper().startswith("AWS_"):
        return "is a setting of AWS, which are never passed to the stack"
    if name in (*INHERITED_VARIABLES, *DEVELOPER_SETTINGS):
        return "is passed without LOCAL_PASS"
    if name in STACK_SETTINGS:
        return "is set by the stack"
    if name not in shell:
        return "is not set in the shell of `make up`"
    return None


def aws(ports: Ports, keys: KeyPair) -> Environment:
    """Direct AWS SDKs to the emulated AWS, without profiles, credential files and instance metadata."""
    return {
        "AWS_ENDPOINT_URL": aws_url(ports),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def ministack(shell: Mapping[str, str], ports: Ports, keys: KeyPair, state: Path) -> Environment:
    """Return the settings of the emulated AWS (local/aws): MiniStack with only the services that the system uses.

    With AUTH it checks signatures and the confirmation codes of sign-ups; the key pair is its root key. DOCKER_HOST is
    invalid on purpose: otherwise MiniStack would search the developer's containers for its own.
    """
    return {
        **base_environment(shell),
        **aws(ports, keys),
        **web_access(shell, ports),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(ports.aws),
        "MINISTACK_REGION": REGION,
        "SERVICES": "sqs,ssm,sts,cognito-idp,ses",
        "AUTH": "true",
        "MINISTACK_WORKER_THREADS": "8",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "ministack"),
        "TMPDIR": str(state),
        "DOCKER_HOST": "unix:///dev/null/no-docker",
        "LOG_LEVEL": "WARNING",
    }


def momento(shell: Mapping[str, str], ports: Ports) -> Environment:
    return {**base_environment(shell), **web_access(shell, ports)}


def web_access(shell: Mapping[str, str], ports: Ports) -> Environment:
    """Return which web pages may use the emulators and the application's server (local/web_access)."""
    return {"ALLOWED_ORIGINS": ",".join(allowed_origins(shell, ports))}


def bootstrap(shell: Mapping[str, str], ports: Ports, keys: KeyPair) -> Environment:
    return {
        **base_environment(shell),
        **aws(ports, keys),
        "SERVICE_NAME": SERVICE_NAME,
        "STAGE_NAME": STAGE_NAME,
        "MOMENTO_ENDPOINT": momento_grpc_url(ports),
        "MOMENTO_ADMIN_URL": momento_admin_url(ports),
    }


def _cache_quota(shell: Mapping[str, str]) -> Environment:
    """Limit the token service to the same share of the raised quota (local/plan.py) as of a new account's."""
    is_raised = (shell.get("MOMENTO_QUOTAS", "").strip() or "raised") == "raised"
    return {"HISTORY_OPERATIONS_PER_SECOND": "400", "TASK_OPERATIONS_PER_SECOND": "200"} if is_raised else {}


def service(name: str, shell: Mapping[str, str], ports: Ports, keys: KeyPair, outputs: Outputs) -> Environment:
    """Return the settings of a service: the same as in a cluster, with values for this machine."""
    port, ops_port = {
        "token": (ports.token, ports.token_ops),
        "ingest": (ports.ingest, ports.ingest_ops),
        "processor": (None, ports.processor_ops),
    }[name]
    chosen = {setting: shell[setting] for setting in DEVELOPER_SETTINGS if setting in shell}
    return {
        **base_environment(shell),
        "LOG_LEVEL": "INFO",
        "RECEIVE_WAIT_SECONDS": "2",
        # Less than the supervisor's limit (Program.stop_within_seconds).
        "SHUTDOWN_GRACE_SECONDS": "8",
        **(_cache_quota(shell) if name == "token" else {}),
        **chosen,
        **(_handler(shell) if name == "processor" else {}),
        **aws(ports, keys),
        **stage(ports, outputs),
        "HOST": "127.0.0.1",
        "OPS_PORT": str(ops_port),
        "ALLOWED_HOSTS": ",".join(f"{name}:{each}" for each in (port, ops_port) if each for name in LOOPBACK_NAMES),
        **({"PORT": str(port), **web_access(shell, ports)} if port else {}),
    }


def _handler(shell: Mapping[str, str]) -> Environment:
    """Return what the developer's handler needs: the variables of LOCAL_PASS, and its folder (HANDLER_PATH)."""
    passed = passed_variables(shell)
    folder = handler_path_from(shell)
    if folder is None:
        return passed
    # A restart waits for the long poll and half a second for tasks, before it requeues them.
    pace = {} if "RECEIVE_WAIT_SECONDS" in shell else {"RECEIVE_WAIT_SECONDS": "1", "SHUTDOWN_GRACE_SECONDS": "6.5"}
    return {
        **passed,
        **pace,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), passed.get("PYTHONPATH")))),
        # Of two changes in one second that leave the size the same, Python would take the second for compiled.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def page(
    shell: Mapping[str, str], ports: Ports, keys: KeyPair, outputs: Outputs, bundle: Path, logs: Path
) -> Environment:
    """Return the settings of the application's server: its /config.json, and where services, mails and bundle are.

    :param logs: the folder of the log files, for the developer's view, which also uses the queues and the emulators.
    """
    return {
        **base_environment(shell),
        **web_access(shell, ports),
        **aws(ports, keys),
        **stage(ports, outputs),
        "PAGE_PORT": str(ports.page),
        "PAGE_BUNDLE": str(bundle),
        "PAGE_TOKEN_URL": f"http://127.0.0.1:{ports.token}",
        "PAGE_INGEST_URL": f"http://127.0.0.1:{ports.ingest}",
        "PAGE_MOMENTO_URL": momento_web_url(ports),
        "PAGE_COGNITO_URL": f"http://localhost:{ports.aws}",
        "PAGE_MAILS_URL": f"{aws_url(ports)}{MAILS_PATH}",
        "PAGE_LOGS": str(logs),
        "MOMENTO_ADMIN_URL": momento_admin_url(ports),
        "PAGE_REGION": REGION,
        "PAGE_USER_POOL_ID": outputs.user_pool_id,
        "PAGE_USER_POOL_CLIENT_ID": outputs.user_pool_client_id,
        **({"TASK_TYPES": shell["TASK_TYPES"]} if "TASK_TYPES" in shell else {}),
    }


def stage(ports: Ports, outputs: Outputs) -> Environment:
    """Return what Deployments in a cluster read from the ConfigMap `<release>-outputs`."""
    return {
        "SERVICE_NAME": SERVICE_NAME,
        "STAGE_NAME": STAGE_NAME,
        "TASK_QUEUE_URL": outputs.queue_url,
        "DEAD_LETTER_QUEUE_URL": outputs.dead_letter_queue_url,
        "MOMENTO_API_KEY_PARAM_NAME": outputs.momento_api_key_param_name,
        "MOMENTO_CACHE_NAME": outputs.cache_name,
        "MOMENTO_ENDPOINT": momento_grpc_url(ports),
        "MOMENTO_WEB_ENDPOINT": momento_web_url(ports),
        # The issuer in the tokens is the real one; only the key set is fetched from this machine.
        "OIDC_ISSUER": f"https://cognito-idp.{REGION}.amazonaws.com/{outputs.user_pool_id}",
        "OIDC_AUDIENCE": outputs.user_pool_client_id,
        "OIDC_JWKS_URL": f"{aws_url(ports)}/{outputs.user_pool_id}/.well-known/jwks.json",
    }


def aws_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.aws}"


def momento_grpc_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.momento_grpc}"


def momento_admin_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.momento_web}"


def momento_web_url(ports: Ports) -> str:
    """For browsers, so with the same host name as the application."""
    return f"http://localhost:{ports.momento_web}"
