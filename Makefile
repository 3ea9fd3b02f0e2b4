# Every command of the project. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 4
SERVICES := auth-service catalog-service orders-service payments-service logs-service
# Whole files and groups go to a worker, the longest first.
TEST = $(VENV)/bin/python -m pytest tests --quiet --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
empty :=
space := $(empty) $(empty)
# Only this project's packages, whatever the shell around it says.
unexport PYTHONPATH PYTHONHOME
# Compiled once, and not again by every process that starts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-fast test-all lint format demo audit keys create-admin roll certificate bench screenshots requirements clean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: $(VENV)/runtime ## the whole shop without Docker: PORT=8080 STATE=.local SCALE="catalog-service=2"
	@exec $(VENV)/bin/python -m local

demo: $(VENV)/runtime ## the tutorial's steps against a running stack: URL=http://localhost:8080
	@$(VENV)/bin/python -m local.demo

audit: $(VENV)/runtime ## check a running shop's books: STATE=.local, or AUDIT_URL_… for other databases
	@$(VENV)/bin/python -m local.audit

keys: $(VENV)/runtime ## a running shop's signing keys: DO=list, DO=rotate, DO="retire KEY"
	@$(VENV)/bin/python -m local.command auth-service auth.keys $(or $(DO),list)

create-admin: $(VENV)/runtime ## another admin in a running shop: NAME=…; the password is asked for, or made up
	@$(VENV)/bin/python -m local.command auth-service auth.users create-admin "$(NAME)"

roll: $(VENV)/runtime ## replace a running service's replicas one at a time: SERVICE=orders-service
	@$(VENV)/bin/python -m local.roll "$(SERVICE)"

certificate: $(VENV)/runtime ## a certificate for development, with which the gateway speaks HTTPS
	@$(VENV)/bin/python -m local.certificate

bench: $(VENV)/tests ## measure a stack of its own and write a report: SECONDS=8 ONLY="hot-path calls"
	@$(VENV)/bin/python -m bench $(ONLY)

screenshots: $(VENV)/tests ## take the README's pictures of a running shop: URL=http://localhost:8080
	@$(VENV)/bin/python -m tests.browser.pictures

test: $(VENV)/tests ## what proves a change, in ten minutes, on its own ports and state: WORKERS=4
	@$(TEST) -m "not long"

test-fast: $(VENV)/tests ## what needs no running shop, in two minutes
	@$(TEST) -m "not shop and not long"

test-all: $(VENV)/tests ## everything that this machine can run
	@$(TEST)

lint: $(VENV)/tests ## style, types, layers
	@$(VENV)/bin/ruff format --check . && $(VENV)/bin/ruff check . && $(VENV)/bin/python -m mypy && PYTHONPATH=.:$(subst $(space),:,$(SERVICES)) $(VENV)/bin/lint-imports --no-logo

format: $(VENV)/tests ## put the code into its form
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format .

requirements: $(VENV)/tests ## compile every requirements.txt anew from requirements.in
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh local/requirements.sh

clean: ## remove what the commands made, except the state in .local
	rm -rf .venv* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/artifacts

$(VENV)/runtime: $(SERVICES:%=%/requirements.txt) local/requirements.txt
	@$(PYTHON) local/install.py $(VENV) $^ && touch $@

$(VENV)/tests: $(VENV)/runtime tests/requirements.txt
	@$(PYTHON) local/install.py $(VENV) tests/requirements.txt && touch $@
