# Every target does its own set-up and skips what is done. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What the local stack needs, and, in addition, what tests and other tools need.
LOCAL_READY := $(VENV)/.local-ready
READY := $(VENV)/.ready

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= localhost/notification-api
BUILDER ?= docker
CHROMIUM ?= /usr/bin/chromium
# What the application's build needs, what packing the client needs, and everything.
PAGE_MODULES := node_modules/.page-ready
CLIENT_MODULES := node_modules/.client-ready
NODE_MODULES := node_modules/.all-ready
PAGE := frontend/dist/index.html
CLIENT_PACKAGE := sdk/javascript/notification-api-client-$(VERSION).tgz
CLIENT_SOURCES := package-lock.json tsconfig.base.json $(shell find sdk/javascript/src sdk/javascript/*.* ! -name '*.tgz' -type f)
PAGE_SOURCES := package.json $(CLIENT_SOURCES) $(shell find frontend -name node_modules -prune -o -name dist -prune -o -type f -print)
PYTEST := .ci/pytest $(PY)
# Versions that test-pythons adds to that of .venv. The image's (PYTHON_IMAGE in the Dockerfile) is one of them.
PYTHONS ?= 3.12 3.13
# Many tests wait for processes, so five workers keep two cores busy. A file stays in one worker. Files start in the
# order of tests/conftest.py: those with many slow tests first. A shared machine may take three times as long as a free one.
WORKERS ?= 5
IN_PARALLEL = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --session-timeout=2700
WITHOUT_BROWSER := tests/integration tests/contract tests/chart tests/unit
WITH_BROWSER := tests/browser tests/package tests/docs

# Targets in lower case are no files.
.PHONY: $(shell grep -oE '^[a-z-]+:' $(MAKEFILE_LIST) | tr -d :)

help: ## List every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "%-14s %s\n", $$1, $$2}'

$(LOCAL_READY): requirements-local.lock
	@PYTHON=$(PYTHON) .setup/python $(VENV) $<
	@touch $@

$(READY): requirements-dev.lock
	@PYTHON=$(PYTHON) .setup/python $(VENV) $<
	@touch $(LOCAL_READY) $@

up: ## Run the whole system on this machine, no account needed
	@$(MAKE) --no-print-directory -j2 $(LOCAL_READY) page-if-possible
	@exec $(PY) -m local.up

clean-state: ## Forget what the local stack keeps: users, tasks, history, keys, logs
	@$(PYTHON) -m local.kept_state

demo: $(LOCAL_READY) ## Sign up, post N tasks (default 3), then tasks of several types, cancel one, and print all; needs a running `make up`
	@$(PY) -m local.demo

token: $(LOCAL_READY) ## Print an id token of dev@example.com, a user who is signed up at the first call; needs a running `make up`
	@$(PY) -m local.token

frontend: $(NODE_MODULES) ## Build the application and check its size (Node 20.19 or newer)
	@npm run --silent build

$(PAGE): $(PAGE_MODULES) $(PAGE_SOURCES)
	@echo "Application: building (once, and when its sources change)"
	@npm run --silent build --workspace frontend

client-package: $(CLIENT_PACKAGE) ## Pack the JavaScript client, to be installed with npm
	@echo "npm install $(abspath $(CLIENT_PACKAGE))"

$(CLIENT_PACKAGE): $(CLIENT_MODULES) $(CLIENT_SOURCES)
	@npm pack --silent --workspace sdk/javascript --pack-destination sdk/javascript >/dev/null

# Where everything is installed, the application's part is too. Its stamp has the time of the lock, so that installing the
# rest later does not build the application again.
$(PAGE_MODULES): package-lock.json
	@$(MAKE) --no-print-directory node
	@[ $(NODE_MODULES) -nt $< ] || { echo "Application: installing its npm packages"; \
		npm ci --workspace frontend --include-workspace-root=false --omit=dev; }
	@touch -r $< $@

# Unlike `npm ci`, this leaves what the application's build needs.
$(CLIENT_MODULES): package-lock.json
	@$(MAKE) --no-print-directory node
	@[ $(NODE_MODULES) -nt $< ] || { echo "Client: installing its npm packages"; \
		npm install --no-save --workspace sdk/javascript --include-workspace-root=false; }
	@touch -r $< $@

$(NODE_MODULES): package-lock.json
	@$(MAKE) --no-print-directory node
	@npm ci
	@touch -r $< $(PAGE_MODULES) $(CLIENT_MODULES)
	@touch $@

node:
	@command -v npm >/dev/null && \
		node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a * 100 + b >= 2019 ? 0 : 1)' || \
		{ echo "The application needs Node 20.19 or newer (https://nodejs.org)." >&2; exit 2; }

# All other processes need only Python, so a failure here must not stop `make up`.
page-if-possible:
	@if $(MAKE) --silent node 2>/dev/null; then \
		$(MAKE) --silent $(PAGE) || echo "The application could not be built (see above); the rest starts."; \
	elif [ ! -e $(PAGE) ]; then echo "Left out: the application. It needs Node 20.19 or newer (https://nodejs.org)."; fi

test: $(READY) ## Run every test that this machine can run
	@if ! $(MAKE) --silent node 2>/dev/null; then \
		echo "Left out: the application's tests. They need Node 20.19 or newer."; \
		$(MAKE) --no-print-directory test-python; \
	elif [ ! -x $(CHROMIUM) ]; then $(MAKE) --no-print-directory test-frontend test-browser test-python; \
	else $(MAKE) --no-print-directory test-frontend $(PAGE) $(CLIENT_PACKAGE) && \
		CHROMIUM=$(CHROMIUM) $(PYTEST) $(WITHOUT_BROWSER) $(WITH_BROWSER) $(IN_PARALLEL); fi

test-python: $(READY) ## The services, the local stack and the charts
	@$(PYTEST) $(WITHOUT_BROWSER) $(IN_PARALLEL)

# Unit tests hardly wait, so more workers would only collect the tests more often.
test-unit test-pythons: WORKERS = 3
test-unit: $(READY) ## The unit tests alone, without the slow ones
	@$(PYTEST) tests/unit -m 'not slow' $(IN_PARALLEL)

test-frontend: $(NODE_MODULES) $(PAGE) ## The application's unit tests and its size
	@npm test --silent
	@npm run --silent size --workspace frontend

test-browser: WORKERS = 3
test-browser: $(READY) ## The application and the packed client in a real Chromium against the real local stack
	@if [ ! -x $(CHROMIUM) ]; then echo "Left out: browser tests. They need Chromium: apt-get install chromium, or CHROMIUM=/path"; \
	else $(MAKE) --no-print-directory $(PAGE) $(CLIENT_PACKAGE) && \
		CHROMIUM=$(CHROMIUM) $(PYTEST) $(WITH_BROWSER) $(IN_PARALLEL); fi

test-pythons: ## The unit tests on Python 3.12 and 3.13, as far as they are installed
	@WORKERS=$(WORKERS) .ci/test-pythons $(PYTHONS)

test-chart: $(READY) ## Test the charts (needs helm)
	@$(PY) -m pytest tests/chart

test-cluster: $(READY) ## Test on the cluster that KUBECONFIG names (needs the images there, and NetworkPolicies enforced)
	@$(PYTEST) tests/cluster

bench-local: $(READY) ## Measure the local stack: start, memory, cost of a request, latency
	@$(PY) -m benchmarks.local_stack

bench-page: $(READY) frontend ## Measure the application: size, loading time, publish to screen, many notifications (needs Chromium)
	@CHROMIUM=$(CHROMIUM) $(PY) -m benchmarks.page

dead-letters: $(LOCAL_READY) ## Operate a stage's dead-letter queue: make dead-letters ARGS="list"
	@$(PY) -m services.processor.dead_letters $(ARGS)

bench: $(READY) ## Measure the services beside plain implementations (ElasticMQ if Java and Maven are installed)
	@$(PY) -m benchmarks.ingest
	@$(PY) -m benchmarks.processor
	@$(PY) -m benchmarks.task_status
	@$(PY) -m benchmarks.cancel

lint: $(READY) ## Formatting, lint, types, import contracts and words
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@.codespell/check $(VENV)/bin/codespell
	@if ! $(MAKE) --silent node 2>/dev/null; then echo "Left out: the application's lint. It needs Node 20.19 or newer."; \
	else $(MAKE) --no-print-directory lint-frontend; fi

lint-frontend: $(NODE_MODULES)
	@npm run --silent lint

fmt: $(READY) ## Format, fix what can be fixed, copy the charts' shared templates
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .
	@$(PY) -m k8s.chart_files
	@if $(MAKE) --silent node 2>/dev/null; then $(MAKE) --no-print-directory fmt-frontend; fi

fmt-frontend: $(NODE_MODULES)
	@npm run --silent fmt

COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --quiet $(if $(UPGRADE),--upgrade) pyproject.toml

lock: $(READY) ## Pin the dependencies (UPGRADE=1 takes newer versions)
	@$(COMPILE) --all-extras -o requirements-dev.lock
	@$(COMPILE) --extra operator -c requirements-dev.lock -o requirements.lock
	@$(COMPILE) --extra local -c requirements-dev.lock -o requirements-local.lock

generate: $(READY) ## Write the generated files: charts' defaults and bounds, rules, dashboards, openapi.json, parts of docs
	@$(PY) -m k8s.chart_files
	@$(PY) -m k8s.dashboards
	@$(PY) -m k8s.contract_files
	@$(PY) -m k8s.docs_site

# The notice is about the end of Material for MkDocs in May 2027; the site uses nothing that its successor lacks but hooks.
docs docs-serve: export NO_MKDOCS_2_WARNING = 1
docs: $(READY) $(NODE_MODULES) ## Build the documentation into site/; a dead link or a page that no other lists is an error
	@$(PY) -m mkdocs build --quiet

docs-serve: $(READY) $(NODE_MODULES) ## Show the documentation at http://127.0.0.1:8000, and build it again when a page changes
	@exec $(PY) -m mkdocs serve --dev-addr 127.0.0.1:8000

image: ## Build both images (BUILDER=docker or podman; IMAGE=your.registry/notification-api)
	@k8s/scripts/image $(BUILDER) $(IMAGE) $(VERSION)

kind-up: image ## A cluster on this machine with Docker and kind, the local stack and the stage dev in it
	@k8s/scripts/kind-up $(IMAGE) $(VERSION)

kind-down: ## Remove that cluster
	@kind delete cluster --name notification-api

forward: $(LOCAL_READY) ## Forward a stage of a cluster to this machine: make forward STAGE=dev (a second one: LOCAL_PORT_BASE=9000)
	@exec $(PY) -m local.forward '$(STAGE)'

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) $(PYTHONS:%=.venv-%) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
