# Two commands do all the set-up: `make serve` and `make test`. Each builds .venv when it is missing or out of date.
# TORCH_INDEX_URL picks the build of torch: empty takes the package index's own (CUDA on Linux); see the README.
TORCH_INDEX_URL ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:  # a Python without ensurepip leaves half an environment, which would pass for a whole one
.PHONY: help serve test torture check demo format clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

serve: $(VENV)/.serve  ## install what is needed and start the service on the shipped weights
	$(BIN)/lerenet serve

demo: $(VENV)/.serve  ## register a class and segment plates against a running service, or one of its own
	$(BIN)/lerenet demo

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest

torture: $(VENV)/.dev  ## kill -9 and SIGTERM at random moments under load, for minutes: is anything lost?
	PYTHONPATH=tests $(BIN)/python tests/torture/run.py

check: $(VENV)/.dev  ## format, lint, types, import walls, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.dev  ## rewrite the source in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first: the index is chosen for it alone, everything else comes from the usual one.
$(VENV)/.torch: $(VENV)/bin/python
	$(PIP_INSTALL) "torch>=2.8,<2.14" $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL))
	touch $@

$(VENV)/.serve: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable ".[serve]"
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/.serve
