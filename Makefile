# carbonrouter: `make demo` shows it, `make test` proves it. Both set up .venv by themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench proto clean

help: ## Show this help
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="..." passes options on, e.g. make demo ARGS="--speed 1800"'

setup: $(STAMP) ## Create .venv and install everything (skipped when nothing changed)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "carbonrouter needs Python 3.11 or newer, but $(PYTHON) is %d.%d. Choose another with: make PYTHON=python3.12 ..." % v[:2])'
	@test -x $(BIN)/python || { echo "==> creating $(VENV)"; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@echo "==> installing carbonrouter and its dependencies into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -e '.[dev]'
	@touch $@

demo: setup ## One recorded day through a real Envoy, about two minutes
	@$(BIN)/carbonrouter demo $(ARGS)

test: lint ## Lint, types, import contracts, then every test
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## Style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Apply the formatter
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## Hot paths, beside a peer or a limit; prints medians
	@$(BIN)/python -m benchmarks $(ARGS)

proto: setup ## Compile xds/proto/wire.proto
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. xds/proto/wire.proto

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
