# Every command of the project. `make help` lists them.
PYTHON ?= python3
SERVICES := auth-service catalog-service orders-service payments-service logs-service
empty :=
space := $(empty) $(empty)
export PORT URL DEMO_USER DEMO_PASSWORD SHOPFLEET_ENV STATE SCALE BIND DEMO_USERS PUBLIC_URL CURRENCY LOG_LEVEL \
       CATALOG_UPSTREAM_URL CATALOG_UPSTREAM_TOKEN_FILE CATALOG_SYNC_SECONDS
# Only this project's packages, whatever the shell around it says.
unexport PYTHONPATH PYTHONHOME

.PHONY: help run test test-fast lint format demo requirements clean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: .venv/runtime ## the whole shop without Docker: PORT=8080 STATE=.local SCALE="catalog-service=2"
	@exec .venv/bin/python -m local

demo: .venv/runtime ## the tutorial's steps against a running stack: URL=http://localhost:8080
	@.venv/bin/python -m local.demo

test: .venv/tests ## everything this machine can run, on its own ports and state
	@.venv/bin/python -m pytest tests

test-fast: .venv/tests ## what needs no running stack, in under a minute
	@.venv/bin/python -m pytest tests -m "not slow"

lint: .venv/tests ## style, types, layers
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/python -m mypy && PYTHONPATH=.:$(subst $(space),:,$(SERVICES)) .venv/bin/lint-imports --no-logo

format: .venv/tests ## put the code into its form
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

requirements: .venv/tests ## compile every requirements.txt anew from requirements.in
	@sh local/requirements.sh

clean: ## remove what the commands made, except the state in .local
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/artifacts

.venv/runtime: $(SERVICES:%=%/requirements.txt) local/requirements.txt
	@$(PYTHON) local/venv.py .venv $^ && touch $@

.venv/tests: .venv/runtime tests/requirements.txt
	@$(PYTHON) local/venv.py .venv tests/requirements.txt && touch $@
