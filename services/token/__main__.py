"""Run with ``python -m services.token``."""

from services.common.run import main
from services.token.app import create_app
from services.token.settings import read_settings

main(read_settings, create_app)
