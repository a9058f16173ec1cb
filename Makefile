# Two commands do everything on a machine with Python 3.11 or newer, make and git:
#   make demo   installs, then searches, verifies and answers with the embedded models
#   make test   installs what tests need, then runs them

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := requirements.lock

.PHONY: demo test test-slow test-properties test-engines lint format types imports check lock clean

demo: $(VENV)/.installed ## one problem, several strategies, the same budget
	$(BIN)/tts demo

test: $(VENV)/.installed-dev ## the fast tests
	$(BIN)/python -m pytest

test-slow: $(VENV)/.installed-dev ## the tests that take longer
	$(BIN)/python -m pytest -m "slow and not engines"

test-properties: $(VENV)/.installed-dev ## the property tests with many more examples, new each time
	$(BIN)/python -m pytest -m "hypothesis and not engines" --hypothesis-profile=explore --timeout=3600

test-engines: $(VENV)/.installed-dev ## real vLLM and SGLang on this CPU: gigabytes, minutes
	$(BIN)/python tests/engines/install.py
	$(BIN)/python -m pytest -m engines tests/engines

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: $(VENV)/.installed-dev
	$(BIN)/mypy

imports: $(VENV)/.installed-dev ## who may import whom
	$(BIN)/lint-imports

check: lint types imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## pin what a fresh installation resolves to today
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet -e ".[dev]"
	{ echo "# Made by 'make lock': the versions that are tested together."; \
	  build/lock/bin/python -m pip freeze --exclude-editable; } > $(LOCK)
	rm -rf build/lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(LOCK) | $(VENV)/bin/python
	$(PIP) install --quiet -c $(LOCK) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(LOCK) | $(VENV)/bin/python
	$(PIP) install --quiet -c $(LOCK) -e ".[dev]"
	@touch $@ $(VENV)/.installed
