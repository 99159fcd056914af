# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
DEMO := demo

# uv installs: a third of pip's processor time, and it shows what it does. It looks where PIP_INDEX_URL says, as pip does.
# make setup TORCH=cpu takes PyTorch's wheels for processors alone from PyTorch's index, gigabytes less; TORCH=cu128 those
# of one CUDA version. TORCH is what uv calls --torch-backend.
TORCH ?=
BACKEND := $(if $(TORCH),--torch-backend $(TORCH))
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.PHONY: setup demo test test-long check docs clean
.DELETE_ON_ERROR:

setup: $(VENV)/.ready tesseract

$(VENV)/.ready: setup.py constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v < (3, 15))' || \
	  { echo "error: m3h needs Python 3.10 to 3.14; name one with make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --python $(BIN)/python $(BACKEND) -c constraints.txt -e '.[pipeline,train,dev]'
	$(BIN)/python -m tests.checkout_folder
	@touch $@

# Tesseract is a program of the system, not of Python.
.PHONY: tesseract
tesseract:
	@command -v tesseract >/dev/null || ./docker/install-tesseract.sh

# A browser is a program of the system, too; the slow tests open pages in it.
.PHONY: chromium
chromium:
	@./docker/install-chromium.sh

# buildah, which builds the images of docker/ without an engine.
.PHONY: buildah
buildah:
	@./docker/install-buildah.sh

# The images of docker/, on this machine's own bases, into .venv/images; needs root, Go, Java 17 and Maven.
.PHONY: images
images: flink buildah
	$(BIN)/python -m tests.docker.images_folder

demo: setup
	$(BIN)/m3h demo --out $(DEMO)

# Posts of Bluesky and Mastodon, made after their schemas, from crawl to a trained model: docs/networks.md.
.PHONY: networks
networks: setup
	$(BIN)/python -m tests.networks.demo --out networks-demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, with the API: site/index.html.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html in a browser"

# Folders, import circles, long or complex functions of a checkout: make structure [FOLDER=...]
.PHONY: structure
structure: setup
	$(BIN)/python -m tests.structure $(FOLDER)

# The picture and the lists of docs/architecture.md, from the source.
.PHONY: architecture
architecture: setup
	$(BIN)/python -m tests.architecture_page

# The pictures of README and docs, from the demo's dataset and run; looked at and committed by hand.
.PHONY: screenshots
screenshots: demo chromium
	$(BIN)/python -m tests.guide.screenshots $(DEMO)

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

# The fast tests with coverage, which takes longer. Covered are 93 % with M3H_DATA, and somewhat fewer without;
# programs that tests start as a user does are not counted.
.PHONY: coverage
coverage: check detectron2
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow' --cov --cov-report=term --cov-fail-under=88

test-long: detectron2 flink chromium kubernetes
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow
	$(MAKE) versions

# Kubernetes' schemas, 108 MB, for a slow test of the manifest.
.PHONY: kubernetes
kubernetes: setup
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt kubernetes-validate

# The images of docker/, built and run: those of the slow tests that are skipped without root and buildah.
.PHONY: test-images
test-images: flink buildah
	$(BIN)/python -m pytest -m images tests/docker

# Two more environments: the lowest version of every package that setup.py names, on the oldest Python; and the versions of
# constraints.txt, on a newer Python than most have. LOWEST_PYTHON, NEWER_PYTHON: a version, which is looked for on the path
# and among pyenv's and which uv fetches where there is none; or the path of a Python.
LOWEST := $(VENV)/lowest
NEWER := $(VENV)/newer
LOWEST_PYTHON ?= 3.10
NEWER_PYTHON ?= 3.13
PYENV := $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.*/bin)
EMPTY :=
FINDS_PYENV := PATH="$$PATH:$(subst $(EMPTY) $(EMPTY),:,$(PYENV))"

# (folder, Python, variable): an environment with nothing in it, or one line that says which Python is missing.
define python_of
	@$(FINDS_PYENV) $(UV) venv --quiet --clear --seed --python $(2) $(1) 2>$(1).log || \
	  { echo "error: no Python $(2): install it, or name one with make $(MAKECMDGOALS) $(3)=PATH"; exit 1; }
endef

$(LOWEST)/.ready: setup.py | setup
	$(call python_of,$(LOWEST),$(LOWEST_PYTHON),LOWEST_PYTHON)
	$(UV) pip install --quiet --python $(LOWEST)/bin/python $(BACKEND) --resolution lowest-direct -e '.[pipeline,train,dev]'
	$(LOWEST)/bin/python -m tests.checkout_folder
	@touch $@

$(NEWER)/.ready: setup.py constraints.txt | setup
	$(call python_of,$(NEWER),$(NEWER_PYTHON),NEWER_PYTHON)
	$(UV) pip install --quiet --python $(NEWER)/bin/python $(BACKEND) -c constraints.txt -e '.[pipeline,train,dev]'
	$(NEWER)/bin/python -m tests.checkout_folder
	@touch $@

# On both: a test file for each package that a user's installation may have.
VERSIONS_TESTS := $(shell grep -o '^tests/[^ ]*' tests/versions.txt)

.PHONY: versions versions-lowest versions-newer
versions:
	$(MAKE) -j2 --output-sync=target versions-lowest versions-newer

versions-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest -m 'not slow' $(VERSIONS_TESTS)

versions-newer: $(NEWER)/.ready
	$(NEWER)/bin/python -m pytest -m 'not slow' $(VERSIONS_TESTS)

# More tests with the lowest versions.
LOWEST_TESTS ?= tests/schemas tests/model tests/pipeline/test_export.py \
  $(addprefix tests/pipeline/,text engine extractors images cleaning checks)

.PHONY: lowest
lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile -m 'not slow' $(LOWEST_TESTS)

# What each stage costs beside other programs that do the same: benchmarks/README.md. The peers have an environment of
# their own. SIZE: times as many posts, pictures, …; CASES: some alone; JSON: where the result goes.
PEERS := $(VENV)/bench
SIZE ?= 1
ROUNDS ?= 3
JSON ?= bench.json

$(PEERS)/.ready: benchmarks/peers.txt | setup
	$(UV) venv --quiet --clear --python $(BIN)/python $(PEERS)
	$(UV) pip install --python $(PEERS)/bin/python $(BACKEND) -r benchmarks/peers.txt
	@touch $@

.PHONY: bench
bench: $(PEERS)/.ready
	$(BIN)/python -m benchmarks --size $(SIZE) --rounds $(ROUNDS) --json $(JSON) $(if $(CASES),--only $(CASES))

# What can be published, in dist/: made, checked, installed and tried. Nothing is uploaded.
.PHONY: release
release: setup
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	M3H_DIST=dist $(BIN)/python -m pytest -q tests/test_wheel.py
	@ls -l dist
	@echo "next: look through CHANGELOG.md, tag the commit, then: $(BIN)/python -m twine upload dist/*"

clean:
	rm -rf $(DEMO) networks-demo site $(VENV) dist build *.egg-info
