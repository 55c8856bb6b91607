# Two commands do all the set-up: `make serve` and `make test`. Each builds .venv when it is missing or out of date.
# TORCH_INDEX_URL picks the build of torch: empty takes the package index's own (CUDA on Linux); see the README.
TORCH_INDEX_URL ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:  # a Python without ensurepip leaves half an environment, which would pass for a whole one
.PHONY: help serve test torture torture-scaleout fuzz check demo format clean lock sbom audit

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

serve: $(VENV)/.serve  ## install what is needed and start the service on the shipped weights
	$(BIN)/lerenet serve

demo: $(VENV)/.serve  ## register a class and segment plates against a running service, or one of its own
	$(BIN)/lerenet demo

# A worker for each CPU with one thread each: tiny networks gain nothing from more, and threads that wait for each other
# awake keep the other workers from running. Those on a Ray cluster follow in one process: two workers would need two
# clusters, or take turns on one, whose own processes keep all CPUs busy.
# Bytecode is kept even where the environment forbids it: every worker, and every program that a test starts, would
# compile the source and pytest's plugins anew.
TEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
test: $(VENV)/.dev  ## run the tests
	$(TEST) --numprocesses auto --dist worksteal --ignore tests/scaleout
	$(TEST) tests/scaleout

# The same seed makes the same inputs. A key is given with `make fuzz FUZZ_KEY=... FUZZ_KEYS_FILE=...`.
FUZZ_SEED ?= 1
FUZZ_COUNT ?= 1000000
FUZZ_HTTP ?= 50000
FUZZ_EXAMPLES ?= 100
FUZZ_KEYS := $(if $(FUZZ_KEY),--key $(FUZZ_KEY)) $(if $(FUZZ_KEYS_FILE),--keys-file $(FUZZ_KEYS_FILE))
fuzz: $(VENV)/.fuzz  ## a million hostile inputs, 50,000 of them over HTTP, then schemathesis: an hour or so
	$(BIN)/python tests/fuzz/run.py --seed $(FUZZ_SEED) --count $(FUZZ_COUNT) --http $(FUZZ_HTTP) $(FUZZ_KEYS)
	$(BIN)/python tests/fuzz/schema.py --seed $(FUZZ_SEED) --examples $(FUZZ_EXAMPLES) $(FUZZ_KEYS)

torture: $(VENV)/.dev  ## kill -9 and SIGTERM at random moments under load, for minutes: is anything lost?
	PYTHONPATH=tests $(BIN)/python tests/torture/run.py

torture-scaleout: $(VENV)/.dev  ## the same of replicas on two Ray nodes and one PostgreSQL: killed, added, replaced
	PYTHONPATH=tests $(BIN)/python tests/torture/run_scaleout.py

check: $(VENV)/.dev  ## format, lint, types, import walls, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.dev  ## rewrite the source in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch and the CUDA libraries of its build are the Dockerfile's arguments; a lock is good for every platform and Python.
LOCK := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade --no-header
WITHOUT_TORCH := awk '/^[a-z]/ { torch = /^(torch|triton|nvidia-|cuda-)/ } !torch'
LOCKS := docker/serve.lock docker/build.lock

lock: $(VENV)/.supply  ## write docker/*.lock: what the image installs, with hashes
	$(LOCK) --extra otel --extra postgres --output-file $(VENV)/serve.lock pyproject.toml >/dev/null
	sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml | $(LOCK) --output-file $(VENV)/build.lock - >/dev/null
	for lock in $(notdir $(LOCKS)); do \
	  { echo '# Written by `make lock` for every platform and Python from 3.11; torch is not here.'; $(WITHOUT_TORCH) $(VENV)/$$lock; } \
	  > docker/$$lock; done

sbom: $(VENV)/.supply  ## write dist/sbom.json (CycloneDX): what the image holds, TORCH_VERSION's torch included
	mkdir -p dist
	{ sed -n 's/^ARG TORCH_VERSION="\(.*\)"$$/torch\1/p' Dockerfile; cat docker/serve.lock; } \
	| $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json -

audit: $(VENV)/.supply  ## known vulnerabilities of what is locked, secrets in what is tracked; lint for security is in `check`
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --disable-plugin HexHighEntropyString --exclude-files '\.(lock|safetensors|png)$$'
	for lock in $(LOCKS); do $(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $$lock || exit 1; done

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

$(VENV)/.supply: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable ".[supply]"
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/.serve

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP_INSTALL) --editable ".[fuzz]"
	touch $@
