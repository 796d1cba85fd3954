"""The contents of the product's image, as a pod sees them."""

import json

from tests.support.cluster.stages import InstalledStages

MAX_MEGABYTES = 220
CONTENTS = """
import json, os, pathlib
import notification_api
root = pathlib.Path("/")
seen, size = set(), 0
for top in root.iterdir():
    if top.name in {"proc", "sys", "dev", "run", "etc"} or top.is_symlink():
        continue
    for folder, _, names in os.walk(top, onerror=lambda error: None):
        for name in names:
            stat = os.lstat(os.path.join(folder, name))
            if stat.st_dev == os.lstat("/app").st_dev and (stat.st_ino not in seen):
                seen.add(stat.st_ino)
                size += stat.st_size
data = next(pathlib.Path("/venv/lib").glob("python3*/site-packages/botocore/data"))
print(json.dumps({
    "megabytes": size / 1e6,
    "app": sorted(each.name for each in pathlib.Path("/app").iterdir()),
    "sdk": sorted(each.name for each in pathlib.Path("/app/sdk").iterdir()),
    "handler_api": notification_api.__file__,
    "models": sorted(each.name for each in data.iterdir() if each.is_dir()),
    "pip": [str(each) for each in pathlib.Path("/venv").rglob("pip*") if "pip" == each.name.split("-")[0]],
    "compiled": all(
        any(file.parent.glob(f"__pycache__/{file.stem}.*.pyc")) for file in pathlib.Path("/app").rglob("*.py")
    ),
}))
"""


def test_the_image_contains_the_product_and_nothing_else(stages: InstalledStages) -> None:
    pod = stages.namespace.of_component("one", "token")[0]["metadata"]["name"]
    found = json.loads(stages.namespace.python(pod, CONTENTS))
    assert found["app"] == ["LICENSE", "k8s", "requirements.lock", "sdk", "services"]
    assert found["sdk"] == ["python"]
    assert found["handler_api"] == "/app/sdk/python/notification_api/__init__.py"
    assert found["models"] == ["cognito-idp", "sqs", "ssm", "sso", "sso-oidc", "sts"]
    assert found["pip"] == []
    assert found["compiled"]
    assert 50 < found["megabytes"] < MAX_MEGABYTES
