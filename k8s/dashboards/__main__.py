"""Write the dashboards: ``python -m k8s.dashboards`` (``make dashboards``)."""

from k8s.dashboards.files import dashboards

for path, text in dashboards().items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
