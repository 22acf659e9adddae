# carbonrouter: `make demo` shows it, `make test` proves it. Both set up .venv by themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench docs proto clean

help: ## Show this help
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="..." passes options on, e.g. make demo ARGS="--max-error-pct 2"'

setup: $(STAMP) ## Create .venv and install everything (skipped when nothing changed)

# `$(call check,INTERPRETER,WHAT TO DO)`
check = @$(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "carbonrouter needs Python 3.11 or newer, and $(1) is not that. $(2)" >&2; exit 1; }

$(STAMP): pyproject.toml
	$(call check,$(PYTHON),Choose another with: make PYTHON=python3.12 ...)
	@test -x $(BIN)/python || { echo "==> creating $(VENV)"; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	$(call check,$(BIN)/python,Remove the old environment with: make clean)
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

docs: setup ## Print docs/metrics.md from the catalogue of metrics
	@$(BIN)/python -m controlplane.metrics > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md

proto: setup ## Compile xds/proto/wire.proto
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. xds/proto/wire.proto

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
