"""A role by web identity (IRSA), with the image's pruned AWS models and a token as Kubernetes projects it.

STS is a stub within the pod; the SDK, its models and the token are the real ones.
"""

import json

import pytest

from tests.support.cluster.stages import InstalledStages
from tests.support.cluster.tools import IMAGE, IMAGE_TAG, wait_until_sync
from tests.support.helm_charts import Object

CODE = """
import asyncio, base64, http.server, json, threading, urllib.parse
from aiobotocore.session import get_session

ANSWER = '''<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>'''
asked = {}

class Sts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked.update(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(ANSWER.encode())
    def log_message(self, *_): pass

server = http.server.HTTPServer(("127.0.0.1", 8000), Sts)
threading.Thread(target=server.serve_forever, daemon=True).start()

async def main():
    credentials = await get_session().get_credentials()
    frozen = await credentials.get_frozen_credentials()
    payload = asked["WebIdentityToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    print(json.dumps([credentials.method, frozen.access_key, asked["RoleArn"], claims["aud"], claims["sub"]]))

asyncio.run(main())
"""
ROLE = "arn:aws:iam::123456789012:role/dev-token"


@pytest.mark.timeout(120)
def test_a_pod_gets_a_role_by_its_service_account(stages: InstalledStages) -> None:
    namespace = stages.namespace
    folder = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    container: Object = {
        "name": "role",
        "image": f"{IMAGE}:{IMAGE_TAG}",
        "command": ["python", "-c", CODE],
        "env": [
            {"name": "AWS_ENDPOINT_URL_STS", "value": "http://127.0.0.1:8000"},
            {"name": "AWS_REGION", "value": "us-east-1"},
            {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
            {"name": "AWS_ROLE_ARN", "value": ROLE},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{folder}/token"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "token", "mountPath": folder, "readOnly": True}],
    }
    projected = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 3600, "path": "token"}}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "role"},
        "spec": {
            "serviceAccountName": "one-token",
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "token", "projected": {"sources": [projected]}}],
        },
    }
    namespace.apply(pod)
    try:
        wait_until_sync(
            lambda: namespace.get("pod", "role")["status"]["phase"] in {"Succeeded", "Failed"}, "the pod's end"
        )
        said = namespace.kubectl("logs", "role")
        subject = f"system:serviceaccount:{namespace.name}:one-token"
        call = json.loads(said.splitlines()[-1])
        assert call == ["assume-role-with-web-identity", "ASIAX", ROLE, ["sts.amazonaws.com"], subject], said
    finally:
        namespace.kubectl("delete", "pod", "role", "--wait=false")
