"""List the resources of the emulated AWS account and of Momento whose names have a prefix, as JSON.

Runs inside the emulators' pod. Arguments: the prefix.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta

from aiobotocore.session import get_session
from momento import CacheClientAsync
from momento.config import Configurations
from momento.responses import ListCaches

from services.common.momento.api_key import credential_provider

PARAMETER = "/notification-api/dev/momento-api-key"


async def main(prefix: str) -> None:
    session = get_session()
    async with (
        session.create_client("sqs") as sqs,
        session.create_client("cognito-idp") as idp,
        session.create_client("ssm") as ssm,
    ):
        urls = (await sqs.list_queues()).get("QueueUrls", [])
        pools = (await idp.list_user_pools(MaxResults=60))["UserPools"]
        key = (await ssm.get_parameter(Name=PARAMETER, WithDecryption=True))["Parameter"]["Value"]
    momento = credential_provider(key, f"http://127.0.0.1:{os.environ['MOMENTO_PORT']}")
    async with CacheClientAsync(Configurations.Laptop.v1(), momento, timedelta(hours=1)) as client:
        listed = await client.list_caches()
    if not isinstance(listed, ListCaches.Success):
        raise SystemExit(f"caches cannot be listed: {listed}")
    caches = [cache.name for cache in listed.caches]
    found = {
        "queues": [url.rpartition("/")[2] for url in urls],
        "pools": [pool["Name"] for pool in pools],
        "caches": caches,
    }
    matching = {kind: sorted(name for name in names if name.startswith(prefix)) for kind, names in found.items()}
    sys.stdout.write(json.dumps(matching) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
