"""Fixtures that all integration tests share."""

from tests.support.local_stack import local_stack as local_stack
