# Everything a user needs: `make run` and `make test`. Both make the environment first (bootstrap.sh); when it is there
# already, that costs nothing.
.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint types docs fit backtest bench env clean

PORT ?= 8501
ARGS ?=

BIN := .venv/bin
CACHE := $(CURDIR)/.cache
comma := ,

# What is compiled is kept in the checkout between runs: by PyTensor for the models, by Numba for the engine.
export NUMBA_CACHE_DIR := $(CACHE)/numba
export PYTENSOR_FLAGS := $(if $(PYTENSOR_FLAGS),$(PYTENSOR_FLAGS)$(comma))base_compiledir=$(CACHE)/pytensor
export RUFF_CACHE_DIR := $(CACHE)/ruff
# A plotting library that some dependency may import must not write to the home folder.
export MPLCONFIGDIR := $(CACHE)/matplotlib

# Numba looks for a change only in the file of the function that is called, not in what that calls: when any source of
# compiled code is newer, all is compiled anew.
$(CACHE)/compiled: $(shell grep -rlE --include='*.py' 'njit|NamedTuple' forecaster models)
	@rm -rf $(CACHE)/numba && mkdir -p $(CACHE) && touch $@

help: ## list these targets
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-12s %s\n' $$name "$$text"; done

run: env ## the dashboard on the shipped fit; PORT=8501 is the default
	@$(BIN)/forecaster dashboard --port $(PORT) $(ARGS)

test: env ## all tests but the slow ones, files side by side on the cores; ARGS='-k rates' narrows them
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: env ## the slow tests: long fits, simulation-based calibration, sweeps
	@$(BIN)/python -m pytest -m slow $(ARGS)

lint: env ## ruff: rules and layout
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: env ## mypy on the engine
	@$(BIN)/mypy

docs: env ## the documentation as a site without network, in build/site: docs/, the models' cards, the docstrings
	@$(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --no-deps --requirement docs/requirements.lock
	@$(BIN)/python -m sphinx -q -W --keep-going -c docs -d $(CACHE)/sphinx . build/site
	@echo 'docs: build/site/docs/index.html'

fit: env ## fit the Bayesian models of Taiwan's pool anew; ARGS=--quick for a rough one
	@$(BIN)/forecaster fit tw_nhi $(ARGS)

backtest: env ## refit Taiwan's pool at the end of 2013 to 2024 and score the forecasts; resumes where it was stopped
	@$(BIN)/forecaster backtest tw_nhi $(ARGS)

bench: env ## the benchmarks, with the machine's own memory-copy time beside them
	@for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

env: $(CACHE)/compiled ## only the environment in .venv
	@sh bootstrap.sh

clean: ## remove the environment, the caches and what was built
	@rm -rf .venv .cache build dist .hypothesis test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
