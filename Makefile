# Every command of the project. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 4
SERVICES := auth-service catalog-service orders-service payments-service logs-service
# Whole files and groups go to a worker, the longest first.
TEST = $(VENV)/bin/python -m pytest tests --quiet --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
empty :=
space := $(empty) $(empty)
# Only this project's packages, also if the shell sets these.
unexport PYTHONPATH PYTHONHOME
# Bytecode is compiled once, not by every process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-fast test-all lint format docs demo audit keys create-admin turn-off-totp roll certificate bench screenshots requirements clean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: $(VENV)/runtime ## the whole shop without Docker: PORT=8080 STATE=.local SCALE="catalog-service=2"
	@exec $(VENV)/bin/python -m local

demo: $(VENV)/runtime ## the tutorial's calls against a running shop: URL=http://localhost:8080
	@$(VENV)/bin/python -m tools.demo

audit: $(VENV)/runtime ## check a running shop's books: STATE=.local, or AUDIT_URL_… for other databases
	@$(VENV)/bin/python -m tools.books

keys: $(VENV)/runtime ## a running shop's signing keys: DO=list, DO=rotate, DO="retire KEY"
	@$(VENV)/bin/python -m local.command auth-service auth.commands.signing_keys $(or $(DO),list)

create-admin: $(VENV)/runtime ## add an admin to a running shop: NAME=…; prompts for a password, or generates one
	@$(VENV)/bin/python -m local.command auth-service auth.commands.users create-admin "$(NAME)"

turn-off-totp: $(VENV)/runtime ## turn off the two-factor authentication of a user who lost everything: NAME=…
	@$(VENV)/bin/python -m local.command auth-service auth.commands.users turn-off-totp "$(NAME)"

roll: $(VENV)/runtime ## replace a service's replicas one at a time: SERVICE=orders-service
	@$(VENV)/bin/python -m local.roll "$(SERVICE)"

certificate: $(VENV)/runtime ## make a certificate for development; the gateway then serves HTTPS
	@$(VENV)/bin/python -m tools.certificate

bench: $(VENV)/tests ## measure a separate shop and write a report: SECONDS=8 ONLY="hot-path calls"
	@$(VENV)/bin/python -m bench $(ONLY)

screenshots: $(VENV)/tests ## take the README's pictures of a running shop: URL=http://localhost:8080
	@$(VENV)/bin/python -m tests.browser.pictures

test: $(VENV)/tests ## the tests that prove a change: WORKERS=4
	@$(TEST) -m "not long"

test-fast: $(VENV)/tests ## the tests that need no running shop
	@$(TEST) -m "not shop and not long"

test-all: $(VENV)/tests ## every test that this machine can run
	@$(TEST)

lint: $(VENV)/tests ## style, types, layers, prose
	@$(VENV)/bin/ruff format --check . && $(VENV)/bin/ruff check . && $(VENV)/bin/python -m mypy && PYTHONPATH=.:$(subst $(space),:,$(SERVICES)) $(VENV)/bin/lint-imports --no-logo && $(VENV)/bin/python -m tests.prose

docs: $(VENV)/tests ## the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet

format: $(VENV)/tests ## format the code
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format .

requirements: $(VENV)/tests ## compile every requirements.txt from requirements.in
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh local/requirements.sh

clean: ## remove generated files, except the state in .local
	rm -rf .venv* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/artifacts site

$(VENV)/runtime: $(SERVICES:%=%/requirements.txt) local/requirements.txt
	@$(PYTHON) local/install.py $(VENV) $^ && touch $@

$(VENV)/tests: $(VENV)/runtime tests/requirements.txt
	@$(PYTHON) local/install.py $(VENV) tests/requirements.txt && touch $@
