# Two targets do everything on a fresh machine: `make demo` and `make test`. Plain pip, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: install demo test lint docs test-slow clean

# A stamp per extra: it is renewed when what is installed could have changed.
$(VENV)/.stamp-%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[$*]'
	@touch $@

install: $(VENV)/.stamp-demo

demo: $(VENV)/.stamp-demo
	$(BIN)/wheatstone demo demo

test: lint
	$(BIN)/python -m pytest

test-slow: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -m "slow or gpu"

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.stamp-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
