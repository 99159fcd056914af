# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: setup demo test test-long check clean
.DELETE_ON_ERROR:

setup: $(VENV)/.ready tesseract

$(VENV)/.ready: setup.py constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v < (3, 14))' || \
	  { echo "error: m3h needs Python 3.10 to 3.13; name one with make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,train,dev]'
	@touch $@

# Tesseract is a program of the system, not of Python.
.PHONY: tesseract
tesseract:
	@command -v tesseract >/dev/null || ./docker/install-tesseract.sh

demo: setup
	$(BIN)/python -m pipeline build --dumps sample/dump_v1.jsonl.gz sample/dump_plain.jsonl --images sample/images \
	  --dataset $(DEMO)/dataset --config sample/build.yaml
	$(BIN)/python -m pipeline stats --dataset $(DEMO)/dataset
	$(BIN)/python -m model train --dataset $(DEMO)/dataset --system gen-cls-m3h --out $(DEMO)/run \
	  --config sample/train.yaml --overwrite
	$(BIN)/python -m model predict $(DEMO)/run --dataset $(DEMO)/dataset --show 3
	@echo "dataset: $(DEMO)/dataset"
	@echo "run:     $(DEMO)/run"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# detectron2's Python code, for tests only.
.PHONY: detectron2
detectron2: setup
	$(BIN)/python -m tests.detectron2_folder

# Flink's jars and Beam's runner for it, for the slow tests; needs Java 17 and Maven.
.PHONY: flink
flink: setup
	$(BIN)/python -m tests.flink_folder

test: check detectron2
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

test-long: detectron2 flink
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

clean:
	rm -rf $(DEMO) $(VENV) *.egg-info
