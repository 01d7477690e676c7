# One short command each; `.ci/run` calls the same. PYTHON=... chooses the interpreter of a new .venv.
PYTHON ?= python3
export PYTHON
# Where this is set, each of the thousands of processes that tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements-dev.lock
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS := $(shell test $(CORES) -gt 8 && echo 8 || echo $(CORES))
# e.g. make test PYTEST="-k cache -x"
PYTEST ?=

.PHONY: help quickstart test test-engines check reliability fix bench docs lock services engines clean
.DEFAULT_GOAL := help

help:
	@echo "make quickstart   set up .venv and run examples/quickstart"
	@echo "make check        ruff, mypy, import-linter"
	@echo "make test         check, then all tests (with real servers: databases, object stores, a vault, Dask)"
	@echo "make test-engines the tests on real engines: Ray, Docker, Slurm, Airflow, Kubeflow, Batch, Spark"
	@echo "make reliability  the reliability tests alone, at full length: kills, full disks, damage, many processes"
	@echo "make fix          format, and repair what ruff can repair"
	@echo "make bench        measure"
	@echo "make docs         write the generated pages of docs/"
	@echo "make lock         choose the newest versions that fit pyproject.toml"
	@echo "make services     install the servers that tests use (Debian, as root)"
	@echo "make clean        remove caches and build output; .venv stays"

quickstart: $(VENV)/installed-quickstart
	$(BIN)/python examples/quickstart/run.py

test: check services
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/engines $(PYTEST)

# By file: the tests of one use the same servers.
test-engines: $(VENV)/installed-engines engines
	$(BIN)/python tests/docker_engine.py base-image
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --timeout 600 tests/engines $(PYTEST)

check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

reliability: $(VENV)/installed-dev services
	ZENML_RELIABILITY=full $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/reliability $(PYTEST)

fix: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks

docs: $(VENV)/installed-dev
	$(BIN)/python docs/build.py

# torch stays out of the lock: its CPU build has a name and hashes of its own.
lock: $(VENV)/installed-dev
	$(BIN)/python -m uv pip compile --upgrade --universal --python-version 3.10 --generate-hashes \
		--no-header --no-annotate --no-emit-package torch --extra all --group dev --group engines pyproject.toml -o $(LOCK) >/dev/null

services:
	scripts/services

engines: services
	scripts/services engines

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests docs examples benchmarks scripts -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The stamps live inside .venv, so that removing .venv removes them too.
$(VENV)/created:
	scripts/create-environment $(VENV)
	@touch $@

$(VENV)/installed-quickstart: pyproject.toml $(LOCK) | $(VENV)/created
	scripts/install $(VENV) $(LOCK) -e ".[quickstart]"
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(LOCK) | $(VENV)/created
	scripts/install $(VENV) $(LOCK) -e ".[all]" --group dev
	@touch $@

$(VENV)/installed-engines: $(VENV)/installed-dev
	scripts/install $(VENV) $(LOCK) -e ".[all]" --group dev --group engines
	@touch $@
