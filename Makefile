# Every target depends on .venv, which `setup` makes; nothing else needs to be installed by hand.
# Servers (MongoDB, Kafka, Redis, NATS, OpenSearch) are found or fetched by eventbus.devservices.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup check format test proof dist-test release sbom docs mutants bench bench-full demo fetch clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment in .venv

$(READY): pyproject.toml tests/constraints.txt $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "eventbus needs Python 3.11 or later: run make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt --group dev -e ".[avro,compression,ed25519,otel,regex,uvloop]" \
	  $(patsubst %/pyproject.toml,-e ./%,$(wildcard plugins/*/pyproject.toml))
	@touch $@

check: $(READY) ## format, lint, types, layers and fast tests: about two minutes
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python -m tests.side_by_side "$(BIN)/mypy --no-error-summary eventbus tests benchmarks plugins" \
	  "$(BIN)/lint-imports --no-cache" "$(BIN)/python -m pytest -q -m 'not services and not slow'"

format: $(READY) ## format the code and mend what can be mended mechanically
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

test: $(READY) ## everything, on real servers
	@$(BIN)/python -m eventbus.devservices --fetch
	@$(BIN)/python -m tests.whole_suite

proof: $(READY) ## the long proofs: chaos at full size, thousands of random schedules
	@EVENTBUS_PROOF=full EVENTBUS_PROOF_RUNS=10000 $(BIN)/python -m pytest -m proof -s

dist-test: $(READY) ## what is shipped: the image's steps, the chart, the alerts, with their own tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt --group dist --group docs
	@$(BIN)/python -m pytest -m dist tests/dist

release: $(READY) ## what is released, built and checked: dist/release
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt --group dist
	@$(BIN)/python -m tests.dist.release dist/release

sbom: $(READY) ## what the image has in it, as a CycloneDX document: dist/eventbus.cdx.json
	@rm -rf dist/image && $(BIN)/python -m tests.dist.image_steps dist/image
	@cp dist/image/opt/share/eventbus.cdx.json dist/ && rm -rf dist/image

docs: $(READY) ## the documentation as a site: dist/site
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt --group docs
	@$(BIN)/python config/docs/screens.py dist/screens
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file config/docs/mkdocs.yml
	@echo "built: dist/site/index.html"

mutants: $(READY) ## break the code on purpose, once for each promise, and see a test fail
	@$(BIN)/python -m tests.mutants

bench: $(READY) ## throughput, latency and cost, beside bare loops and Debezium: 15 minutes, on an idle machine
	@$(BIN)/python -m benchmarks.throughput --within 14.5

bench-full: $(READY) ## the same with a million changes and every case: three quarters of an hour
	@$(BIN)/python -m benchmarks.throughput --full

demo: $(READY) ## the shop, live: real servers, a workload, every change counted (DEMO_SECONDS=20 to end by itself)
	@$(BIN)/eventbus demo

fetch: $(READY) ## fetch the servers into the cache, for work without a network
	@$(BIN)/python -m eventbus.devservices --fetch

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .pytest_cache dist
