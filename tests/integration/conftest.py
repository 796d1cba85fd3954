"""Fixtures that all integration tests share."""

from tests.support.processes.local_stack import local_stack as local_stack
from tests.support.processor.stage import processor_servers as processor_servers
from tests.support.processor.stage import stage as stage
