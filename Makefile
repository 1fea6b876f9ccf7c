# `make search` and `make test` need Python >= 3.11 and a C compiler; the first of them makes .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: search test test-slow lint bench recognizers clean
search: .venv/installed
	$(BIN)/python tune/search.py --space contrastive.yaml

test: .venv/installed lint
	$(BIN)/python -m pytest -q

test-slow: .venv/installed
	$(BIN)/python -m pytest -q -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python tests/benchmarks/step.py

recognizers: .venv/installed
	$(BIN)/python -m ganhtr.recognizers.ship

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
