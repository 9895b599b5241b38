# Everything one does with a checkout. Needs Python 3.11 or newer, its venv module, make, and a package index that pip reaches.
# PYTHON chooses the interpreter of a new .venv (make install PYTHON=python3.12); PYTEST_ARGS adds to pytest.

PYTHON ?= python3
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
# All extras of users but torch, which comes by pip only.
IMAGE_EXTRAS := aws azure clickhouse dask gcp llm mlflow postgres redshift slack snowflake turso web
KERNELS := $(wildcard anomflow/detectors/*.py anomflow/detectors/*/*.py)

# The installed bytecode is what makes a command start fast: compile it even where the environment says not to.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-services check fix lock mutants bench clean

help:  ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) $(COMPILED)  ## install the locked versions and this checkout into .venv

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Anomflow needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Choose one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install -qq --no-compile --no-deps --require-hashes -r requirements.lock
	$(PIP) install -qq --no-compile --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib anomflow blocks cli flows tasks || true
	@touch $@

# Numba's kernels are compiled here and never in a run.
$(COMPILED): $(INSTALLED) $(KERNELS)
ifneq ($(wildcard anomflow/detectors/compile.py),)
	$(BIN)/python -m anomflow.detectors.compile
endif
	@touch $@

demo: install  ## replay real data and show the alerts
	$(BIN)/anomflow demo

test: install  ## run the tests that need nothing but Python
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-services: install  ## run the tests that need a database server, a worker or a cloud, each installed (apt, pip) and started for it
	$(BIN)/python tests/services/run.py

check: install  ## lint, check types, layers, detection, generated files and the lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/detection/test_quality_guard.py
	$(BIN)/python -m anomflow.reference --check
	$(BIN)/python -m cli.reference --check
	$(BIN)/python benchmarks/pictures.py --check
	$(BIN)/anomflow sync --check
	$(PIP) check
	$(PIP) install -qq --dry-run --no-index --no-deps --require-hashes -r requirements.lock || { \
		echo "$(VENV) is not what requirements.lock says. Install it again: touch requirements.lock && make install" >&2; exit 1; }

fix: install  ## repair what ruff can repair, format, write generated files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m anomflow.reference
	$(BIN)/python -m cli.reference
	$(BIN)/python benchmarks/pictures.py

lock: install  ## pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra demo --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml $(IMAGE_EXTRAS:%=--extra %) --constraints requirements.lock --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.image.lock

mutants: install  ## sabotage each law and see its test fail
	$(BIN)/python tests/mutants.py

bench: install  ## measure speed and memory against the budgets
	$(BIN)/python benchmarks/run.py

clean:  ## remove .venv and caches; .anomflow with your data stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
