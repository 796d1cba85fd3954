"""What a reader chooses on every dashboard: data source, namespace and stage."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableRefresh, VariableSort

from k8s.dashboards.panels import SOURCE

TAG = "notification-api"


SERVICES = 'notification_api_build_info{service=~"token|ingest|processor"}'
"""The operator says what it runs too, and is no stage."""


def board(uid: str, title: str, description: str, *, many: bool, among: str = SERVICES) -> Dashboard:
    """An empty dashboard for one stage, or for many at once: those of the series `among`, a selector with matchers."""
    within = among.removesuffix("}") + ',namespace=~"$namespace"}'
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_labels("namespace", "Namespace", among, many=many))
        .with_variable(_labels("stage", "Stage", within, many=many))
    )


def _labels(name: str, label: str, selector: str, *, many: bool) -> QueryVariable:
    variable = QueryVariable(name).label(label).datasource(SOURCE)
    variable.query(f"label_values({selector}, {name})")
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".+") if many else variable  # noqa: FBT003
