"""`python -m k8s.operator`: the operator, one a cluster."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

import kopf
import uvloop
from aiohttp import web
from botocore.exceptions import NoRegionError

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.scrape import Scraper
from k8s.operator.context import Tools
from k8s.operator.controller.kopf_handlers import register
from k8s.operator.controller.stages import Stages
from k8s.operator.health.answers import Asker
from k8s.operator.health.releases import Releases
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.resources.aws import client_config
from k8s.operator.resources.momento_caches import MomentoCaches
from k8s.operator.settings import SERVICE_NAME, OperatorSettings, read_settings
from services.common.aws.session import aws_session
from services.common.errors import PermanentError, Transient
from services.common.lifecycle import EXIT_FAILED, Lifecycle
from services.common.run import EXIT_SETTINGS
from services.common.settings import SettingsError, load
from services.common.telemetry.logs import configure_logging
from services.common.telemetry.metrics import BUILD
from services.common.version import VERSION
from services.common.web.connections import ApiSite
from services.common.web.operations import create_operations_app

logger = logging.getLogger("k8s.operator")


def main() -> int:
    """Run until told to stop. Returns the exit status."""
    try:
        settings = load(read_settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    configure_logging(settings.service)
    # It tells of every object that it hands on.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        return uvloop.run(run(settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    except (PermanentError, Transient, OSError) as error:
        logger.critical(str(error), extra={"action": "start"})
        return EXIT_FAILED


async def run(settings: OperatorSettings) -> int:
    """Open what is needed, look after the Stages, and close in order."""
    lifecycle = Lifecycle()
    BUILD.info({"version": VERSION, "service": settings.service.service_name, "stage": "-"})
    async with _operations(settings, lifecycle), _tools(settings) as tools:
        stages = Stages(tools, lifecycle.background)
        try:
            async with lifecycle.background.running("audit", stages.audit()):
                lifecycle.mark_started()
                logger.info("started", extra={"action": "start", "cluster": settings.cluster_name})
                await _watch(settings, stages, lifecycle)
        finally:
            await lifecycle.background.close()
    logger.info("stopped", extra={"action": "stop", "exit_status": lifecycle.exit_status})
    return lifecycle.exit_status


@contextlib.asynccontextmanager
async def _operations(settings: OperatorSettings, lifecycle: Lifecycle) -> AsyncIterator[None]:
    """Metrics and readiness; liveness is kopf's, on a port of its own."""
    runner = web.AppRunner(create_operations_app(lifecycle), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await ApiSite(runner, settings.service.host, settings.service.ops_port).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _tools(settings: OperatorSettings) -> AsyncIterator[Tools]:
    session = aws_session()
    async with contextlib.AsyncExitStack() as stack:
        try:
            sqs = await stack.enter_async_context(session.create_client("sqs", config=client_config()))
            idp = await stack.enter_async_context(session.create_client("cognito-idp", config=client_config()))
            ssm = await stack.enter_async_context(session.create_client("ssm", config=client_config()))
        except NoRegionError:
            raise SettingsError({"AWS_DEFAULT_REGION": ["must name a region, like us-east-1"]}) from None
        except ValueError as error:  # the SDK's word for an endpoint that is no URL
            raise SettingsError({"AWS_ENDPOINT_URL": [str(error)]}) from None
        kubernetes = await stack.enter_async_context(Kubernetes())
        yield Tools(
            settings=settings,
            kubernetes=kubernetes,
            sqs=sqs,
            idp=idp,
            caches=await stack.enter_async_context(MomentoCaches(ssm, settings.momento_endpoint)),
            scraper=await stack.enter_async_context(Scraper()),
            releases=Releases(kubernetes, settings.namespaces),
            asker=await stack.enter_async_context(Asker()),
            decide=desired_replicas,
            passes=asyncio.Semaphore(settings.max_passes),
            retries=asyncio.Semaphore(settings.max_passes),
        )


async def _watch(settings: OperatorSettings, stages: Stages, lifecycle: Lifecycle) -> None:
    """Let kopf watch until a signal, or until something that we cannot do without has ended."""
    registry = kopf.OperatorRegistry()
    register(registry, lambda: stages)
    await kopf.operator(
        registry=registry,
        standalone=True,
        # One watch for all, also where only some namespaces are looked after: one that is deleted ends no watch.
        clusterwide=True,
        liveness_endpoint=f"http://{settings.service.host}:{settings.liveness_port}/livez",
        stop_flag=lifecycle.stopping,
        # Else kopf asks for the name of the user, and the image knows its user by number alone.
        identity=SERVICE_NAME,  # type: ignore[arg-type]  # kopf exports no name for the type
    )


if __name__ == "__main__":
    sys.exit(main())
