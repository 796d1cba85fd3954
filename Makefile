# Every target does its own set-up and skips what is done. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: help up demo test lint fmt lock clean bench-smoke

help: ## List every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "%-14s %s\n", $$1, $$2}'

$(READY): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.13" >&2; exit 2; }
	@echo "Setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --disable-pip-version-check --require-hashes --no-deps --progress-bar on -r requirements-dev.lock
	@touch $(READY)

up: $(READY) ## Start the whole system on this machine, no account needed
	@exec $(PY) -m local.up

demo: $(READY) ## Sign up, sign in, post N tasks (default 3) and print the news; needs a running `make up`
	@$(PY) -m local.demo

test: $(READY) ## Run every test that this machine can run
	@$(PY) -m pytest

lint: $(READY) ## Formatting, lint, types and import contracts
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

fmt: $(READY) ## Format and fix what can be fixed
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --quiet $(if $(UPGRADE),--upgrade) pyproject.toml

lock: $(READY) ## Pin the dependencies anew (UPGRADE=1 takes newer versions)
	@$(COMPILE) --all-extras -o requirements-dev.lock
	@$(COMPILE) --extra operator -c requirements-dev.lock -o requirements.lock

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
