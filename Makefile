# `make help` lists what there is. Each target sets up what it needs first, so that any of
# them works as the first command typed on a machine with only CPython 3.11 and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

# The oldest supported CPython, where it is found; else any that is new enough.
PYTHON ?= $(or $(shell .ci/find-python 3.11),$(shell .ci/find-python 3.12),$(shell .ci/find-python 3.13))
OTHERS := 3.12 3.13
LOOPLESS := simulation cli mutants testing typing test_architecture.py test_docs.py test_typing.py
# Minutes beside servers and children that are killed: once, in the suite itself, and not in each lane.
SERVED := integration chaos/delivery soak
AIOSTREAMLESS := $(SERVED) cli connectors mutants property push serving simulation

# Lanes may run side by side: what one remembers of its failures is not for the others.
LANE = HYPOTHESIS_STORAGE_DIRECTORY=$(1)/.hypothesis $(1)/bin/python -m pytest -p no:cacheprovider

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.demo  ## Run the first example: the standard library's own source, streamed into SQLite
	@$(BIN)/python examples/01_stdlib_census.py

.PHONY: test
test: $(VENV)/.test  ## Run the suite
	$(BIN)/python -m pytest

.PHONY: services
services:  ## Install the servers that tests start: PostgreSQL and NATS, by apt-get
	@.ci/services

.PHONY: slow
slow: $(VENV)/.test  ## Run the long tests
	$(BIN)/python -m pytest -m slow

.PHONY: check
check: $(VENV)/.dev  ## Run every gate: lint, format, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: simulate
simulate: $(VENV)/.test  ## Run every shape of graph under thousands of seeds, and sweep it
	$(BIN)/python -m tests.simulation

.PHONY: mutants
mutants: $(VENV)/.test  ## Break the runtime on purpose, and see which tests notice
	$(BIN)/python -m tests.mutants

.PHONY: chaos
chaos: $(VENV)/.test  ## Kill every route fifty times while its input goes on, and count what is lost
	$(BIN)/python -m tests.chaos.delivery

.PHONY: soak
soak: $(VENV)/.test  ## Serve flows at load for half an hour, while stages fail, servers restart and signals come
	$(BIN)/python -m tests.soak --json build/soak.json

# What they print is Markdown with date, machine and command, for benchmarks/RESULTS.md.
.PHONY: bench
bench: $(VENV)/.test  ## Run all benchmarks, and draw the speed table into build/plots
	@for each in benchmarks/*.py; do echo "== $$each"; $(BIN)/python "$$each"; done
	@echo "== the speed table"
	@PYTHONPATH=benchmarks $(BIN)/python -m speed --json build/speed.json --plot build/plots

.PHONY: bench-check
bench-check: $(VENV)/.test  ## Compare with the last release; it fails where a row is over 10 % slower
	@PYTHONPATH=benchmarks $(BIN)/python -m speed.check

.PHONY: speed
speed: $(VENV)/.test  ## Measure the speed table; it fails while a floor is missed
	@PYTHONPATH=benchmarks $(BIN)/python -m speed --strict

.PHONY: torture
torture: $(VENV)/.test  ## Put us and four peers to the torture table: about 35 minutes
	$(BIN)/python benchmarks/torture_table.py --runs 10000 --peer-runs 200 --side-by-side 6

.PHONY: docs
docs: $(VENV)/.test  ## Run the code in the README, the documents and the docstrings
	$(BIN)/python -m pytest tests/test_docs.py

.PHONY: test-all
test-all: test test-others  ## Run the suite everywhere

.PHONY: test-others
test-others: $(OTHERS:%=test-%) test-wheel test-bare test-uvloop  ## Run it on other CPythons, without aiostream, on uvloop; try the wheel

test-%:
	@if python=$$(.ci/find-python $*); then \
	  $(MAKE) --no-print-directory VENV=.venv-$* PYTHON="$$python" .venv-$*/.test; \
	  echo "== the suite on CPython $*"; \
	  $(call LANE,.venv-$*) $(SERVED:%=--ignore=tests/%); \
	else echo "== CPython $* is not found here: its run is left out"; fi

# aiostream is GPL and only flows that use it need it: everything else has to work without.
.PHONY: test-bare
test-bare:
	@$(MAKE) --no-print-directory VENV=.venv-bare .venv-bare/.test
	@.venv-bare/bin/python -m pip uninstall --quiet --yes aiostream
	@echo "== the suite without aiostream"
	$(call LANE,.venv-bare) $(AIOSTREAMLESS:%=--ignore=tests/%)

# Left out is what has a loop of its own, or none.
.PHONY: test-uvloop
test-uvloop:
	@$(MAKE) --no-print-directory VENV=.venv-uvloop .venv-uvloop/.test
	@.venv-uvloop/bin/python $(PIP_INSTALL) --editable '.[test,uvloop]'
	@echo "== what runs flows, on uvloop"
	TEST_LOOP=uvloop $(call LANE,.venv-uvloop) $(LOOPLESS:%=--ignore=tests/%) $(SERVED:%=--ignore=tests/%)

.PHONY: test-wheel
test-wheel: $(VENV)/.dev
	@echo "== the wheel, in an environment and a folder of its own"
	@.ci/try-wheel $(BIN)/python

.PHONY: clean
clean:  ## Remove what these targets made
	rm -rf .venv .venv-3.* .venv-bare .venv-uvloop benchmarks/.environments dist build census
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is made again when what it is made from has changed.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "CPython 3.11, 3.12 or 3.13 is needed, and none was found"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.made
	$(BIN)/python $(PIP_INSTALL) --editable '.[progress]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.made
	$(BIN)/python $(PIP_INSTALL) --editable '.[test]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.made
	$(BIN)/python $(PIP_INSTALL) --editable '.[dev]'
	@touch $@
