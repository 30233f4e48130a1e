# Everything a person or CI runs. Each target does all set-up it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
UNIT := --ignore=tests/integration --ignore=tests/e2e --ignore=tests/cli
WORKERS ?= 2

.PHONY: help setup check lint unit services test demo bench lock format clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

setup: ## install everything into .venv (nothing to do: nothing done)
	@scripts/setup.sh

lint: setup ## format, lint, types and the rooms' imports
	@$(BIN)/ruff format --check --quiet || { echo 'run: make format' >&2; exit 1; }
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy --no-error-summary
	@out=$$($(BIN)/lint-imports --no-logo) || { echo "$$out" >&2; exit 1; }

unit: setup ## the tests that need no service and run no command
	@FONDACO_EXAMPLES=25 $(BIN)/pytest -q -n $(WORKERS) $(UNIT)

check: lint unit ## the fast check before a commit

services: ## Debian packages of the real services that tests run against
	@scripts/services.sh

test: setup ## everything: lint, unit, real services, end to end
	@$(MAKE) services
	@$(MAKE) lint
	@$(BIN)/pytest -q -n $(WORKERS)

demo: setup ## a bucket becomes a CernVM-FS repository before your eyes
	@$(BIN)/fondaco demo

bench: setup ## measure the budgets on this machine
	@$(BIN)/python -m bench

lock: setup ## make the locks in requirements/ again (UPGRADE=1: newest versions)
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

format: setup ## let ruff format and mend what it can
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

clean: ## remove what was built or installed here
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
