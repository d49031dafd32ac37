# One command each; `make help` lists them. Every target sets up what it needs by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SEEDS ?= 100
JOBS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Programs started a hundred times keep what they compiled, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE
# A lock is whole: pip asks nobody what else is needed, so a release of today changes nothing.
install = $(BIN)/pip install --quiet --no-deps --require-hashes -r $(1) || \
	{ echo "$(1) could not be installed, see above; what it does not name by its hash is never used"; exit 1; }
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

.setup/run: requirements.lock pyproject.toml setup.py | $(VENV)/bin/python
	@echo "Installing what the node needs (pinned, checked by hash) ..."
	@$(call install,requirements.lock)
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@mkdir -p .setup && touch $@

.setup/dev: requirements-dev.lock .setup/run
	@echo "Installing what the tests need ..."
	@$(call install,requirements-dev.lock)
	@mkdir -p .setup && touch $@

.setup/aws: requirements-aws.lock .setup/run
	@$(call install,requirements-aws.lock)
	@mkdir -p .setup && touch $@

.setup/demo: requirements-demo.lock .setup/run
	@echo "Installing the chain that the demonstration runs on ..."
	@$(call install,requirements-demo.lock)
	@mkdir -p .setup && touch $@

.setup/node: package-lock.json package.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is needed for anvil and the contract tests"; exit 1; }
	@echo "Installing the chain tools (anvil, forge, solc) ..."
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p .setup && touch $@

setup: .setup/dev .setup/node  ## Install everything, for development and for anvil

aws: .setup/aws  ## Install what a lane with its key in AWS KMS needs

demo: .setup/demo  ## Settle a realistic book on an embedded chain (ARGS="--redemptions 200 --no-serve --json")
	@$(BIN)/settlement-node demo $(ARGS)

run: .setup/run  ## Run the node (ARGS="--config settlement-node.toml")
	@$(BIN)/settlement-node run $(ARGS)

test: .setup/dev .setup/node  ## Run every test: contracts, Python, chains, databases
	@tools/run-tests

coverage: .setup/dev .setup/node  ## The same, measured: less than 90 % of settlement_node run is a failure
	@COVERAGE=90 tools/run-tests

check: .setup/dev  ## Lint, format check, types, declared imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy settlement_node
	@$(BIN)/deptry settlement_node
	@$(BIN)/deptry . --ignore DEP004

locks:  ## Write the locks anew from pyproject.toml; what still fits stays (needs uv)
	@command -v uv >/dev/null || { echo "uv is needed to write the locks"; exit 1; }
	@$(LOCK) pyproject.toml --group build -o requirements.lock
	@$(LOCK) pyproject.toml --group build --group dev -o requirements-dev.lock
	@$(LOCK) --group aws -c requirements-dev.lock -o requirements-aws.lock
	@$(LOCK) --group demo -c requirements-dev.lock -o requirements-demo.lock

abi: .setup/node  ## Compile the contracts and write abi/
	@node tools/build-abi.mjs

docs: .setup/run  ## Write the parts of the documentation that are drawn from the code
	@$(BIN)/python -m tools.make_docs

bench: .setup/dev .setup/node  ## Measure gas, throughput, latency, growth, memory, recovery (ONLY=name, ARGS="--scale 0.01")
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

simulate: .setup/dev  ## Run the deterministic simulator (SEEDS=n [SEED=k])
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(ARGS)

crash-test: .setup/dev .setup/node  ## Kill the real daemon at every crash point and audit the chain
	@$(BIN)/python -m chain_tests.crash $(ARGS)

defences: .setup/dev .setup/node  ## Take out each defence once and see a test fail (ARGS="--only NAME", "--list")
	@$(BIN)/python -m tests.defences $(ARGS)

clean:  ## Remove everything that was set up or built
	rm -rf $(VENV) .setup node_modules out cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup aws demo run test coverage check locks abi docs bench simulate crash-test defences clean
