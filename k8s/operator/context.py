"""Clients and settings that all stage controllers share; opened once by the process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8s.operator.api.client import Kubernetes
from k8s.operator.api.events import Events
from k8s.operator.api.readiness import ReadinessClient
from k8s.operator.api.releases import Releases
from k8s.operator.api.scrape import Scraper
from k8s.operator.api.stage import StageObject
from k8s.operator.policy.types import Decision, Observed, Policy
from k8s.operator.resources.clients import Clients
from k8s.operator.resources.momento_caches import MomentoCaches
from k8s.operator.settings import OperatorSettings

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient
    from types_aiobotocore_sqs import SQSClient

Decide = Callable[[Observed, Policy, float], Decision]


@dataclass(frozen=True)
class Context:
    """Shared by all stages.

    `reconcile_slots` limits how many stages are reconciled at the same time, because of AWS quotas. Retries after a
    failure use `retry_slots` instead.
    """

    settings: OperatorSettings
    kubernetes: Kubernetes
    sqs: "SQSClient"
    idp: "CognitoIdentityProviderClient"
    caches: MomentoCaches
    scraper: Scraper
    releases: Releases
    readiness_client: ReadinessClient
    decide: Decide
    reconcile_slots: asyncio.Semaphore
    retry_slots: asyncio.Semaphore

    @property
    def events(self) -> Events:
        return Events(self.kubernetes)

    def clients(self, stage: StageObject) -> Clients:
        """Return clients for AWS, and for Momento with the operator's own key or else the stage's."""
        parameter = self.settings.momento_api_key_param_name or stage.key_parameter
        return Clients(self.sqs, self.idp, self.caches.with_key(parameter))
