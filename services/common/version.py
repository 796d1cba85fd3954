"""The version of what runs: one number for all services, the same as in pyproject.toml and the charts."""

VERSION = "0.1.0"
