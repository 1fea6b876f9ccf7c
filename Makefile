# `make search` needs Python >= 3.11 and makes .venv; `make test` adds the test tools to it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
WORKERS ?= auto
PYTEST := -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: search test test-slow coverage lint bench recognizers clean
search: .venv/installed
	$(BIN)/python tune/search.py --space contrastive.yaml

test: .venv/installed-test lint
	$(BIN)/python $(PYTEST)

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -q -m slow

coverage: export PYTHONPATH := $(CURDIR)/tests
coverage: .venv/installed-test
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

lint: .venv/installed-test
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed-test
	$(BIN)/python tests/benchmarks/step.py

recognizers: .venv/installed
	$(BIN)/python -m ganhtr.recognizers.ship

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip setuptools
	$(PIP) torch
	$(PIP) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
