# Everything a newcomer needs. `make` alone explains itself.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCK   := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help demo up test lint histories mocks prometheus browser screenshots model bench bench-sellers bench-ops chaos-short chaos chaos-sellers lock schemas clean

help: ## what can be done here
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY) ## real Kafka, real PostgreSQL, every worker, 1,000 orders; ends with a summary
	$(BIN)/annul demo $(ARGS)

up: $(READY) ## the same local stack without traffic, in the foreground
	$(BIN)/annul up $(ARGS)

test: $(READY) lint ## lint, types, and every test on real parts, in two processes; with ARGS only those, in one
	$(BIN)/python -m pytest $(or $(ARGS),-n 2)

lint: $(READY) ## ruff, mypy --strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

histories: $(READY) ## 20,000 random histories, every invariant checked in each (a quarter of an hour)
	ANNUL_HISTORIES=$${ANNUL_HISTORIES:-20000} $(BIN)/python -m pytest -s tests/property/test_histories.py $(ARGS)

mocks: $(READY) ## the card adapter against Stripe's own mock server (needs Go)
	ANNUL_MOCKS=1 $(BIN)/python -m pytest -m long $(ARGS) tests/contract/test_stripe_mock.py

prometheus: $(READY) ## alert rules and every dashboard's panel against a real Prometheus (fetches Debian's package)
	ANNUL_PROMETHEUS=1 $(BIN)/python -m pytest -m long $(ARGS) tests/prometheus

CHROMIUM := command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core)

$(VENV)/.browser: $(READY) tests/browser/requirements.lock
	$(CHROMIUM)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/browser/requirements.lock
	touch $@

browser: $(VENV)/.browser ## the dashboard in a real browser: what operators do, accessibility (installs Debian's chromium)
	ANNUL_BROWSER=1 $(BIN)/python -m pytest -m browser $(ARGS) tests/browser

screenshots: $(VENV)/.browser ## every page of the dashboard, light and dark, wide and phone, into .annul/screenshots
	ANNUL_BROWSER=1 ANNUL_SCREENSHOTS=$${ANNUL_SCREENSHOTS:-.annul/screenshots} $(BIN)/python -m pytest -m browser $(ARGS) tests/browser/test_screenshots.py

model: $(READY) ## every world of the money protocol within wider bounds (ten minutes)
	ANNUL_MODEL=1 $(BIN)/python -m pytest -m long $(ARGS) tests/model

bench: $(READY) ## cancellations per second, beside a bare loop in the same run
	$(BIN)/annul bench $(ARGS)

bench-sellers: $(READY) ## sellers' counts updated per second, beside bare aiokafka, quixstreams and a plain faust agent
	$(BIN)/annul bench sellers $(ARGS)

bench-ops: $(READY) ## every page of the dashboard over a million orders, and what people at it cost the workers
	ANNUL_BENCH_OPS=1 $(BIN)/python -m pytest -m long tests/e2e/test_bench_ops.py
	$(BIN)/annul bench ops --pairs 6 $(ARGS)

chaos-short: $(READY) ## the short forms: workers killed, Kafka and PostgreSQL away, the sellers' table (four minutes)
	ANNUL_CHAOS=1 $(BIN)/python -m pytest -m long $(ARGS) tests/chaos

chaos: $(READY) ## the demo while every worker is killed in turn
	$(BIN)/annul demo --kill $(ARGS)

chaos-sellers: $(READY) ## the sellers' table beside SQL after 30 kills, zombies and rebalances (five minutes)
	$(BIN)/annul chaos sellers $(ARGS)

schemas: $(READY) ## write JSON Schema and topic data again from the types
	$(BIN)/python -m schemas.export

lock: ## pin every dependency with its hashes again (needs uv)
	$(LOCK) --extra local --extra dev -o requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock -o requirements.prod.lock pyproject.toml
	$(LOCK) --constraint requirements.lock -o tests/browser/requirements.lock tests/browser/requirements.in
	echo setuptools | $(LOCK) --constraint requirements.lock -o deploy/requirements.build.lock -

clean: ## remove the environment and local data
	rm -rf $(VENV) .annul
