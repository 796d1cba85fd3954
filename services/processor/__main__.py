"""Run with ``python -m services.processor``."""

from services.common.run import main
from services.processor.app import create_app
from services.processor.settings import read_settings

main(read_settings, create_app, listens=False)
