# SPDX-License-Identifier: Apache-2.0
# Everything a developer runs. `make` alone lists the targets; what a target does is in its lines and in tools/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
CARGO := tools/cargo.sh
# The release profile everywhere: what was built for use is tested, and nothing is built twice.
WORKSPACE := --release --workspace --locked
# Seconds that `make fuzz` gives each target.
FUZZ_SECONDS ?= 60
# How often `make test-faults` kills the gate.
KILLS ?= 200
# Steps of the disk that fail in each way, drawn by chance; `all` takes every one.
FAULTS ?= all
# Tests that run at once.
WORKERS ?= auto
# More words for pytest, demo or bench: `make bench ARGS="--quick --json out.json"`.
ARGS ?=

.PHONY: test-browser help setup fmt lint types test test-rust test-python test-faults fuzz bench docs demo idp check clean test-drivers

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || sed -n 's/:.*## /: /p' Makefile

setup: ## Build everything into .venv, so that .venv/bin/gatebook runs
	@tools/setup.sh

fmt: setup ## Format both languages
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml

lint: setup ## Style, lints, spelling and licences of both languages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml --check
	$(CARGO) clippy $(WORKSPACE) --all-targets --quiet -- --deny warnings
	$(BIN)/codespell
	$(BIN)/python tools/licences.py

types: setup ## Types of Python, and the stub against the native module
	$(BIN)/mypy
	MYPYPATH=src $(BIN)/stubtest gatebook._native

test: lint types test-rust test-python ## What CI runs: lint, types, and the tests of both languages

test-rust: setup ## Tests of the Rust crates
	# gatebook-py is an extension module: its tests are Python's
	$(CARGO) test $(WORKSPACE) --exclude gatebook-py --lib --tests --quiet

test-python: setup ## Tests in Python, real servers included
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-drivers: setup ## Programmes of nine drivers, direct and through the gate: they must print the same
	$(BIN)/python tests/drivers/run.py $(ARGS)

test-faults: setup ## Faults for longer than `make test` does: KILLS (200) of gate and notary, each step of the disk (FAULTS)
	KILLS=$(KILLS) FAULTS=$(FAULTS) OPERATIONS=10000 $(BIN)/python -m pytest tests/faults/test_kill.py \
		tests/faults/test_notary_kill.py tests/faults/test_removal_kill.py tests/faults/test_every_step.py tests/faults/test_ten_thousand.py $(ARGS)

fuzz: setup ## Fuzz each parser for FUZZ_SECONDS (60)
	tools/fuzz.sh $(FUZZ_SECONDS)

bench: setup ## Measure direct, PgBouncer and Gatebook side by side
	$(BIN)/python bench/run.py $(ARGS)

docs: setup ## Write the generated pages anew
	tools/generate_docs.sh

demo: setup ## Show the main job on a throwaway PostgreSQL
	@$(BIN)/python examples/demo/run.py $(ARGS)

test-browser: setup ## The console in a real Chromium with a passkey (needs Chromium); pictures in build/console
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "playwright>=1.65,<2"
	$(BIN)/python -m pytest tests/browser $(ARGS)

idp: setup ## Install the identity provider that tests/real asks for tokens (needs node and npm)
	mkdir -p .venv/idp && cp tests/support/idp/package.json .venv/idp/
	npm install --prefix .venv/idp --no-audit --no-fund --loglevel=error

check: lint types ## Quick answer before a commit: lint, types, architecture and unit tests
	$(BIN)/python -m pytest -n $(WORKERS) --quiet tests/architecture tests/unit $(ARGS)

clean: ## Remove everything that was built or installed
	rm -rf .venv target rust/fuzz/target build dist .demo .bench .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests tools bench examples -name __pycache__ -prune -exec rm -rf {} +
	rm -f src/gatebook/_native.*.so
