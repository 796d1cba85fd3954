"""The message that `make up` prints once everything is ready."""

from local.aws.key_pair import KeyPair
from local.environment import REGION, aws_url, momento_grpc_url, momento_web_url
from local.ports import Ports


def table(ports: Ports) -> list[tuple[str, str]]:
    """Return each address with its description."""
    return [
        (f"http://localhost:{ports.page}", "the application; /config.json is what a client needs to know"),
        (f"http://localhost:{ports.page}/dev", "tasks with their log lines, dead letters, switches for faults"),
        (f"http://localhost:{ports.page}/mail", "the mails with sign-up codes; no mail leaves this machine"),
        (f"http://localhost:{ports.page}/task", "POST a task; GET /task/<taskId> returns its status"),
        (f"http://localhost:{ports.page}/notifications", "GET the notifications; GET /token lets a client subscribe"),
        *(
            (f"http://localhost:{port}/metrics", f"metrics of {name}; also /livez and /readyz")
            for name, port in (
                ("token", ports.token_ops),
                ("ingest", ports.ingest_ops),
                ("processor", ports.processor_ops),
            )
        ),
        (momento_grpc_url(ports), "emulated Momento, gRPC, for SDKs of servers"),
        (momento_web_url(ports), "emulated Momento, gRPC-web, for browsers"),
        (aws_url(ports), "emulated AWS (SQS, SSM, Cognito), for any SDK or CLI"),
    ]


def welcome(ports: Ports, keys: KeyPair, seconds: float, kept: str = "") -> str:
    """Return the message.

    :param kept: a sentence about what is kept of the last run.
    """
    rows = table(ports)
    width = max(len(url) for url, _ in rows)
    moved = f"LOCAL_PORT_BASE={ports.base} " if ports != Ports() else ""
    return "\n".join(
        [
            "",
            *(f"  {url:<{width}}  {description}" for url, description in rows),
            "",
            "To use the AWS CLI with the key pair of this run:",
            "  unset AWS_PROFILE AWS_SESSION_TOKEN",
            f"  export AWS_ENDPOINT_URL={aws_url(ports)} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}",
            f"  export AWS_ACCESS_KEY_ID={keys.access_key_id} AWS_SECRET_ACCESS_KEY={keys.secret_access_key}",
            "",
            *([kept] if kept else []),
            f"ready in {seconds:.1f} s. In a second terminal: {moved}make demo. Stop with Ctrl-C.",
            "",
        ]
    )
