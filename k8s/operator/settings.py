"""The operator's settings, read from the environment. All mistakes are reported together."""

from dataclasses import dataclass

from environs import Env
from marshmallow.validate import OneOf, Regexp

from services.common.setting_checks import check_momento_endpoint, check_name, check_visible_ascii, optional
from services.common.setting_numbers import read_float, read_int
from services.common.settings import LOG_LEVELS, PORT_RANGE, ServiceSettings

SERVICE_NAME = "notification-operator"
_NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# Characters that both SQS and Cognito allow in a tag.
_CLUSTER = r"[A-Za-z0-9_.:/=+@-]{1,128}"
_PARAMETER = r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """The operator's settings."""

    service: ServiceSettings
    cluster_name: str
    """Name of this cluster, unique in the AWS account. It is in the ownership tags: never change it."""
    namespaces: tuple[str, ...]
    """Namespaces whose Stages are managed; empty for all."""
    momento_api_key_param_name: str | None
    """SSM parameter of a Momento key that may manage caches. Without it each stage's own key is used."""
    momento_endpoint: str | None
    """A host name of the real service (required by v2 keys), or `http://host:port` for plaintext."""
    liveness_port: int
    """The port of the liveness probe."""
    resync_seconds: float
    """Interval at which an unchanged stage is reconciled to correct drift."""
    active_poll_seconds: float
    """Interval at which the queue of a stage with work is read."""
    idle_poll_seconds: float
    """Interval at which the queue of an idle stage is read. It decides what an idle stage costs."""
    max_concurrent_reconciles: int
    """Limit of stages that are reconciled at the same time, and of stages whose last reconcile failed."""


def read_settings(env: Env) -> OperatorSettings:
    """Read all settings. `services.common.settings.load` raises for mistakes."""
    return OperatorSettings(
        service=_read_service(env),
        cluster_name=env.str(
            "CLUSTER_NAME", validate=Regexp(_CLUSTER + r"\Z", error="must be 1 to 128 of A-Z a-z 0-9 _ . : / = + @ -")
        ),
        namespaces=_read_namespaces(env),
        momento_api_key_param_name=env.str(
            "MOMENTO_API_KEY_PARAM_NAME",
            None,
            validate=optional(_is_parameter),
        )
        or None,
        momento_endpoint=env.str("MOMENTO_ENDPOINT", None, validate=optional(check_momento_endpoint)) or None,
        liveness_port=read_int(env, "LIVENESS_PORT", 9091, **PORT_RANGE),
        resync_seconds=read_float(env, "RESYNC_SECONDS", 300.0, least=1, most=86_400),
        active_poll_seconds=read_float(env, "ACTIVE_POLL_SECONDS", 2.0, least=0.2, most=60),
        idle_poll_seconds=read_float(env, "IDLE_POLL_SECONDS", 5.0, least=0.2, most=300),
        max_concurrent_reconciles=read_int(env, "MAX_CONCURRENT_RECONCILES", 8, least=1, most=100),
    )


def _read_namespaces(env: Env) -> tuple[str, ...]:
    names = env.list("WATCH_NAMESPACES", [], subcast=str.strip, validate=_all_namespaces)
    return tuple(sorted(set(names or ())))  # None where a name is wrong, which `load` reports


def _is_parameter(value: str) -> None:
    Regexp(_PARAMETER + r"\Z", error="must be the name of an SSM parameter")(value)


def _all_namespaces(values: list[str]) -> None:
    check = Regexp(_NAMESPACE + r"\Z", error="{input!r} is not the name of a namespace")
    for value in values:
        check(value)


def _read_service(env: Env) -> ServiceSettings:
    return ServiceSettings(
        service_name=env.str("SERVICE_NAME", SERVICE_NAME, validate=check_name),
        stage_name="-",  # the operator has no stage; each log line names the stage that it is about
        log_level=env.str("LOG_LEVEL", "INFO", validate=OneOf(LOG_LEVELS, error="must be one of {choices}")),
        host=env.str("HOST", "0.0.0.0", validate=check_visible_ascii),  # noqa: S104 -- probes and Prometheus connect from outside the pod
        port=0,
        ops_port=read_int(env, "OPS_PORT", 9090, **PORT_RANGE),
        shutdown_delay_seconds=0.0,
        shutdown_grace_seconds=10.0,
    )
