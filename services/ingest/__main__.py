"""Run with ``python -m services.ingest``."""

from services.common.run import main
from services.ingest.app import create_app
from services.ingest.settings import read_settings

main(read_settings, create_app)
