"""A web site that a developer visits can do nothing with a running stack."""

import json

import aiohttp
import pytest
from aiobotocore.session import get_session
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local.environment import REGION
from local.momento.fronts.admin import HEADER
from tests.support.processes.local_stack import LocalStack
from tests.support.raw_http import Answer, asked, exchange

pytestmark = pytest.mark.timeout(120)

DEVELOPERS_PAGE = "http://localhost:5173"
PUBLISH = "/cache_client.pubsub.Pubsub/Publish"
UNKNOWN_KEYS = [("local", "local"), ("test", "test"), ("000000000000", "local"), ("", "")]


@pytest.fixture(scope="module")
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack


def ports(stack: LocalStack) -> dict[str, tuple[int, str]]:
    """Every HTTP port, with a path that answers 200 to programs of this machine."""
    own = stack.ports
    return {
        "page": (own.page, "/mail.json"),
        "token": (own.token, "/no-such-path"),
        "ingest": (own.ingest, "/no-such-path"),
        "token's operations": (own.token_ops, "/metrics"),
        "ingest's operations": (own.ingest_ops, "/metrics"),
        "processor's operations": (own.processor_ops, "/metrics"),
        "momento": (own.momento_web, "/_emulator/health"),
        "aws": (own.aws, "/_ministack/health"),
    }


NAMES = ["page", "token", "ingest", "token's operations", "ingest's operations", "processor's operations"]
NAMES += ["momento", "aws"]


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_host_is_rejected_at_every_port(stack: LocalStack, name: str) -> None:
    port, path = ports(stack)[name]
    assert asked(port, "GET", path, f"Host: localhost:{port}").status in {200, 404}
    assert asked(port, "GET", path, f"Host: LOCALHOST:{port}").status in {200, 404}
    for host in (
        *(f"evil.example:{port}", "evil.example", f"localhost.evil.com:{port}", f"127.0.0.1.nip.io:{port}"),
        *("localhost", f"localhost:{port + 1}", f"localhost.:{port}", f"localhost:{port}@evil"),
    ):
        answer = asked(port, "GET", path, f"Host: {host}")
        assert answer.status in {400, 421}, host
    for answer in (
        asked(port, "GET", path),
        asked(port, "GET", path, f"Host: localhost:{port}", "Host: evil.example"),
        asked(port, "GET", path, "Host: evil.example", f"Host: localhost:{port}"),
        asked(port, "GET", f"http://evil.example:{port}{path}", f"Host: localhost:{port}"),
        asked(port, "GET", f"http://localhost:{port}{path}", "Host: evil.example"),
        exchange(port, f"GET {path} HTTP/1.0\r\n\r\n"),
        exchange(port, f"GET {path} HTTP/1.0\r\nHost: evil.example\r\n\r\n"),
    ):
        assert answer.status in {400, 421}
        assert "notification_api" not in answer.body


@pytest.mark.parametrize("name", ["page", "momento", "aws"])
@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://localhost:3000", "http://localhost.evil.com", "http://[::1]:1"]
)
def test_a_page_of_a_foreign_origin_is_rejected(stack: LocalStack, name: str, origin: str) -> None:
    port, path = ports(stack)[name]
    for method in ("GET", "POST", "OPTIONS", "PUT", "DELETE", "HEAD"):
        answer = asked(port, method, path, f"Host: localhost:{port}", f"Origin: {origin}")
        assert answer.status == 403, method
        assert "access-control-allow-origin" not in answer.head


@pytest.mark.parametrize("name", ["token", "ingest"])
def test_no_page_of_a_foreign_origin_can_read_a_services_answer(stack: LocalStack, name: str) -> None:
    port, path = ports(stack)[name]
    answer = asked(port, "GET", path, f"Host: localhost:{port}", "Origin: http://localhost:3000")
    assert "access-control-allow-origin" not in answer.head


@pytest.mark.parametrize("name", ["page", "momento", "aws"])
def test_embedding_in_a_foreign_page_is_rejected(stack: LocalStack, name: str) -> None:
    port, path = ports(stack)[name]
    for site in ("cross-site", "same-site"):
        for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe"), ("websocket", "")):
            fetch = (f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}")
            assert asked(port, "GET", path, f"Host: localhost:{port}", *fetch).status == 403


@pytest.mark.parametrize("name", ["page", "momento", "aws", "token", "ingest", "processor's operations"])
def test_no_port_opens_a_websocket(stack: LocalStack, name: str) -> None:
    port, _ = ports(stack)[name]
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13")
    request = "\r\n".join(["GET / HTTP/1.1", f"Host: localhost:{port}", "Connection: Upgrade, close", *upgrade, "", ""])
    assert exchange(port, request).status != 101


def aws(stack: LocalStack, method: str, path: str, *headers: str, body: str = "") -> Answer:
    return asked(stack.ports.aws, method, path, f"Host: 127.0.0.1:{stack.ports.aws}", *headers, body=body)


INTERNAL_PATHS = [
    *("/_ministack/reset", "/_ministack/config", "/_ministack/ses/messages", "/_ministack/sqs/messages", "/_ministack"),
    *(
        "/_ministack/sns/sms-messages",
        "/_localstack/health",
        "/health",
        "/_aws/ses",
        "/%5Fministack/reset",
        "/bucket/key",
    ),
    *("//_ministack/reset", "/./_ministack/reset", "/x/../_ministack/reset", "/_MINISTACK/reset", "/_ministack/reset/"),
    *(
        "/_ministack/ready",
        "/v2/email/identities",
        "/2015-03-31/functions",
        "/oauth2/authorize",
        "/oauth2/token",
        "/login",
    ),
]


@pytest.mark.parametrize("path", INTERNAL_PATHS)
def test_no_internal_path_of_the_emulated_aws_is_served(stack: LocalStack, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        assert aws(stack, method, path).status == 403
        assert aws(stack, method, path, "Authorization: Bearer local").status == 403
    assert aws(stack, "POST", "/_ministack/health").status == 403


def test_mails_require_the_secret_of_the_run(stack: LocalStack) -> None:
    secret = f"Authorization: Bearer {stack.plan.keys.secret_access_key}"
    path = "/_ministack/ses/messages"
    assert aws(stack, "GET", path, secret).status == 200
    assert aws(stack, "GET", path, secret, "Origin: https://evil.example").status == 403
    assert aws(stack, "GET", path, secret, secret).status == 403
    assert aws(stack, "POST", "/_ministack/reset", secret).status == 403


@pytest.mark.parametrize(("key_id", "secret"), UNKNOWN_KEYS)
async def test_a_task_signed_with_another_key_is_rejected(stack: LocalStack, key_id: str, secret: str) -> None:
    """By SQS' query protocol, in body and address, and by its JSON protocol; with the right key id too."""
    queue = stack.outputs.queue_url
    path = queue.partition(str(stack.ports.aws))[2]
    query = "Action=SendMessage&MessageBody=from-a-web-site"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    call = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    body = json.dumps({"QueueUrl": queue, "MessageBody": "from-a-web-site"})
    for key in {key_id, stack.plan.keys.access_key_id}:
        for request in (
            AWSRequest("POST", f"{stack.aws_url}{path}", dict(form), query),
            AWSRequest("POST", f"{stack.aws_url}/", dict(call), body),
        ):
            SigV4Auth(Credentials(key, secret), "sqs", REGION).add_auth(request)
            await refused(request)
        address = AWSRequest("GET", f"{stack.aws_url}{path}?{query}")
        SigV4QueryAuth(Credentials(key, secret), "sqs", REGION).add_auth(address)
        await refused(address)
        await refused(AWSRequest("GET", f"{stack.aws_url}{path}?{query}&AWSAccessKeyId={key}&Signature=x"))
        for authorization in (f"AWS {key}:x", f"AWS4-HMAC-SHA256 Credential={key}/x", f"AWS4-HMAC-SHA256 {key}"):
            headers = {**form, "Authorization": authorization}
            await refused(AWSRequest("POST", f"{stack.aws_url}{path}", headers, query))
    await refused(AWSRequest("GET", f"{stack.aws_url}{path}?{query}"))
    await refused(AWSRequest("POST", f"{stack.aws_url}{path}", {"Content-Type": "text/plain"}, query))
    for authorization in ("Bearer x", "Basic dGVzdDp0ZXN0", "AWS4-ECDSA-P256-SHA256 Credential=test/x", "x", "AWS4-"):
        headers = {**form, "Authorization": authorization}
        await refused(AWSRequest("POST", f"{stack.aws_url}{path}", headers, query))


@pytest.mark.parametrize("authorization", ["Bearer x", "Basic x", "x", "x Credential=test/20260101/us-east-1/ssm/x"])
def test_a_path_without_signature_gives_no_further_access(stack: LocalStack, authorization: str) -> None:
    """MiniStack identifies a call by headers and query, whatever its path."""
    own = f"/{stack.outputs.user_pool_id}/.well-known/jwks.json"
    read_key = ("X-Amz-Target: AmazonSSM.GetParameter", f"Authorization: {authorization}")
    body = json.dumps({"Name": stack.outputs.momento_api_key_param_name, "WithDecryption": True})
    for path in (own, "/us-east-1_other/.well-known/openid-configuration", "/oauth2/token", "/_ministack/health"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = aws(stack, method, path, *read_key, body=body)
            assert "SecureString" not in answer.body, (method, path)
            answer = aws(stack, method, f"{path}?Action=ListQueues", f"Authorization: {authorization}")
            assert "QueueUrl" not in answer.body, (method, path)


def test_a_signature_after_a_control_character_is_invalid(stack: LocalStack) -> None:
    hidden = "Authorization: \x1fAWS4-HMAC-SHA256 Credential=x/y"
    assert aws(stack, "POST", "/?Action=ListQueues", hidden).status == 403


async def refused(request: AWSRequest) -> None:
    prepared = request.prepare()
    async with (
        aiohttp.ClientSession() as session,
        session.request(prepared.method, prepared.url, headers=dict(prepared.headers), data=prepared.body) as answer,
    ):
        assert answer.status in {400, 401, 403}, await answer.text()
        assert "MessageId" not in await answer.text()


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("AWSCognitoIdentityProviderService.AdminGetUser", {"Username": "user"}),
        ("AWSCognitoIdentityProviderService.ListUsers", {}),
        ("AWSCognitoIdentityProviderService.DeleteUserPool", {}),
        ("AWSCognitoIdentityProviderService.NoSuchOperation", {}),
        ("AmazonSQS.SendMessage", {"MessageBody": "from-a-web-site"}),
        ("AmazonSSM.GetParameter", {"Name": "/notification-api/local/momento-api-key", "WithDecryption": True}),
    ],
)
async def test_calls_that_aws_requires_signed_are_rejected_unsigned(
    stack: LocalStack, target: str, body: dict[str, object]
) -> None:
    outputs = stack.outputs
    full = json.dumps({"UserPoolId": outputs.user_pool_id, "QueueUrl": outputs.queue_url, **body})
    for query in ("", "?X-Amz-Credential=test/x", "?X-Amz-Algorithm=AWS4-HMAC-SHA256", "?AWSAccessKeyId=test"):
        for content_type in ("application/x-amz-json-1.1", "text/plain"):
            headers = {"Content-Type": content_type, "X-Amz-Target": target}
            await refused(AWSRequest("POST", f"{stack.aws_url}/{query}", headers, full))


async def test_a_body_changed_after_signing_is_rejected(stack: LocalStack) -> None:
    keys = stack.plan.keys
    request = AWSRequest("POST", f"{stack.aws_url}/", {"X-Amz-Target": "AmazonSQS.ListQueues"}, "{}")
    SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "sqs", REGION).add_auth(request)
    request.data = '{"QueueNamePrefix":"x"}'
    await refused(request)


async def test_the_key_pair_of_the_run_is_accepted_by_the_emulated_aws(stack: LocalStack) -> None:
    async with get_session().create_client("sqs", **stack.aws_client()) as sqs:
        assert stack.outputs.queue_url in (await sqs.list_queues())["QueueUrls"]
    async with get_session().create_client("sts", **stack.aws_client()) as sts:
        assert (await sts.get_caller_identity())["Arn"].endswith(":root")
    wrong = stack.aws_client()
    wrong["aws_secret_access_key"] = "local"
    async with get_session().create_client("sts", **wrong) as sts:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            await sts.get_caller_identity()


@pytest.mark.parametrize("name", ["momento", "aws"])
def test_the_application_and_the_developers_own_pages_are_served(stack: LocalStack, name: str) -> None:
    port, _ = ports(stack)[name]
    path = {"momento": PUBLISH, "aws": "/"}[name]
    for host in ("localhost", "127.0.0.1", "[::1]"):
        origin = f"http://{host}:{stack.ports.page}"
        preflight = (f"Origin: {origin}", "Access-Control-Request-Method: POST", "Sec-Fetch-Site: same-site")
        answer = asked(port, "OPTIONS", path, f"Host: localhost:{port}", *preflight)
        assert answer.status in {200, 204}
        assert f"access-control-allow-origin: {origin}" in answer.head
        assert "cross-origin-resource-policy: same-origin" in answer.head
        assert answer.head.count("access-control-allow-origin") == 1


def test_an_admin_call_of_a_page_is_rejected(stack: LocalStack) -> None:
    port = stack.ports.momento_web
    own = f"Origin: http://localhost:{stack.ports.page}"
    for more in ((), (own, f"{HEADER}: 1"), ("Sec-Fetch-Site: same-origin", f"{HEADER}: 1")):
        assert asked(port, "POST", "/_emulator/keys", f"Host: localhost:{port}", *more).status == 403
    preflight = (own, "Access-Control-Request-Method: PATCH", f"Access-Control-Request-Headers: {HEADER}")
    answer = asked(port, "OPTIONS", "/_emulator/settings", f"Host: localhost:{port}", *preflight)
    assert answer.status == 403
    assert "access-control" not in answer.head
