"""`python -m k8s.operator`: runs the operator."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

import kopf
import uvloop
from botocore.exceptions import NoRegionError

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.readiness import ReadinessClient
from k8s.operator.api.releases import Releases
from k8s.operator.api.scrape import Scraper
from k8s.operator.context import Context
from k8s.operator.controller.kopf_handlers import register
from k8s.operator.controller.stages import Stages
from k8s.operator.policy.decide import desired_replicas
from k8s.operator.resources.clients import client_config
from k8s.operator.resources.momento_caches import MomentoCaches
from k8s.operator.settings import SERVICE_NAME, OperatorSettings, read_settings
from notification_api import PermanentError, TransientError
from services.common.aws.clients import aws_session
from services.common.lifecycle import EXIT_FAILED, Lifecycle
from services.common.run import EXIT_SETTINGS
from services.common.settings import SettingsError, load
from services.common.telemetry.logs import configure_logging
from services.common.telemetry.metrics import BUILD
from services.common.version import VERSION
from services.common.web.operations import operations_port

logger = logging.getLogger("k8s.operator")


def main() -> int:
    """Run until a signal. Returns the exit status."""
    try:
        settings = load(read_settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    configure_logging(settings.service)
    # kopf logs every event that it passes to a handler.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        return uvloop.run(run(settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    except (PermanentError, TransientError, OSError) as error:
        logger.critical(str(error), extra={"action": "start"})
        return EXIT_FAILED


async def run(settings: OperatorSettings) -> int:
    """Open the clients, manage the Stages until a signal, and close in order."""
    lifecycle = Lifecycle()
    BUILD.info({"version": VERSION, "service": settings.service.service_name, "stage": "-"})
    async with operations_port(settings.service, lifecycle), _open_context(settings) as context:
        stages = Stages(context, lifecycle.background)
        try:
            async with lifecycle.background.running("watch-check", stages.check_watch()):
                lifecycle.mark_started()
                logger.info("started", extra={"action": "start", "cluster": settings.cluster_name})
                await _watch(settings, stages, lifecycle)
        finally:
            await lifecycle.background.close()
    logger.info("stopped", extra={"action": "stop", "exit_status": lifecycle.exit_status})
    return lifecycle.exit_status


@contextlib.asynccontextmanager
async def _open_context(settings: OperatorSettings) -> AsyncIterator[Context]:
    session = aws_session()
    async with contextlib.AsyncExitStack() as stack:
        try:
            sqs = await stack.enter_async_context(session.create_client("sqs", config=client_config()))
            idp = await stack.enter_async_context(session.create_client("cognito-idp", config=client_config()))
            ssm = await stack.enter_async_context(session.create_client("ssm", config=client_config()))
        except NoRegionError:
            raise SettingsError({"AWS_DEFAULT_REGION": ["must name a region, like us-east-1"]}) from None
        except ValueError as error:  # raised by the SDK for an endpoint that is no URL
            raise SettingsError({"AWS_ENDPOINT_URL": [str(error)]}) from None
        kubernetes = await stack.enter_async_context(Kubernetes())
        yield Context(
            settings=settings,
            kubernetes=kubernetes,
            sqs=sqs,
            idp=idp,
            caches=await stack.enter_async_context(MomentoCaches(ssm, settings.momento_endpoint)),
            scraper=await stack.enter_async_context(Scraper()),
            releases=Releases(kubernetes, settings.namespaces),
            readiness_client=await stack.enter_async_context(ReadinessClient()),
            decide=desired_replicas,
            reconcile_slots=asyncio.Semaphore(settings.max_concurrent_reconciles),
            retry_slots=asyncio.Semaphore(settings.max_concurrent_reconciles),
        )


async def _watch(settings: OperatorSettings, stages: Stages, lifecycle: Lifecycle) -> None:
    """Run kopf until a signal, or until a background task of the operator has ended."""
    registry = kopf.OperatorRegistry()
    register(registry, lambda: stages)
    await kopf.operator(
        registry=registry,
        standalone=True,
        # One watch for the cluster also where namespaces are given: the deletion of a namespace then ends no watch.
        clusterwide=True,
        liveness_endpoint=f"http://{settings.service.host}:{settings.liveness_port}/livez",
        stop_flag=lifecycle.stopping,
        # Without it kopf looks up the user name, and the image has only a numeric user.
        identity=SERVICE_NAME,  # type: ignore[arg-type]  # kopf exports no name for the type
    )


if __name__ == "__main__":
    sys.exit(main())
