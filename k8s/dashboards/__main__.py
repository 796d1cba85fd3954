"""Write the dashboards and recording rules: ``python -m k8s.dashboards`` (``make generate``)."""

from k8s.dashboards.files import generated_files

for path, text in generated_files().items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
