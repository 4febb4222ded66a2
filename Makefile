# Everything a developer types. On a machine with python3.11, git and make, `make check` needs nothing before it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup check format lint types layers test fuzz docs demo bench costs mini large public pack train model graphs validate lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
EXTRAS := train,dino,sd,evaluate,baselines,video,ray,s3,heic
PIP := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DATA ?= ../shared/data
PACK ?= packs/full
RUN ?=
EVERY ?= 5
METHODS ?= -m embedded -m imagenet -m nearest -m free:backbone=embedded -m grabcut -m closed-form -m knn
CODE := src tests docs examples benchmarks scripts recipes

help:  ## what can be typed
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup: .venv/ready  ## the environment for everything here, in .venv

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --upgrade 'pip>=25.1'
	$(BIN)/python $(PIP) torch==2.13.0
	$(BIN)/python $(PIP) --editable '.[$(EXTRAS)]' --group check --group docs --group model
	touch $@

check: setup  ## format, lint, types, import layers, tests, rehearsed training, documentation: what must be green
	$(MAKE) --no-print-directory format lint types layers test docs
	rm -rf runs/smoke
	OMP_NUM_THREADS=1 $(MAKE) --no-print-directory model SMOKE=1

format: setup
	$(BIN)/ruff format --check $(CODE)

lint: setup
	$(BIN)/ruff check $(CODE)

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

# One thread: the tensors of tests are too small to share out.
test: setup  ## the quick tests; `make test TESTS='-m slow'` runs the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS)

fuzz: setup  ## damaged photos and contexts, an hour of them; FUZZ="--minutes 5" for less
	$(BIN)/python -m pip --disable-pip-version-check install --quiet 'atheris>=2.3' || true
	$(BIN)/python scripts/fuzz.py $(FUZZ)

docs: setup  ## the documentation as web pages, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going --quiet --fresh-env -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

demo:  ## a light install in .venv-demo and the main job on examples/; results in demo/
	PYTHON=$(PYTHON) scripts/demo

bench: costs large  ## what the main job costs, and the larger mini benchmark

costs: setup  ## seconds, start-up and memory of the main job, as JSON lines
	$(BIN)/python benchmarks/matting.py $(BENCH)

mini: setup  ## the mini benchmark (MINI="--own CUTOUTS") and seven methods on it, in runs/mini
	$(BIN)/python recipes/mini_benchmark.py runs/mini/mini $(MINI)
	$(BIN)/mattelike evaluate runs/mini/mini $(METHODS) -o runs/mini/report

large: setup  ## the larger mini benchmark, the same; an hour or two
	$(BIN)/python recipes/mini_benchmark.py runs/large/mini-large --large $(MINI)
	$(BIN)/mattelike evaluate runs/large/mini-large $(METHODS) -o runs/large/report

public: setup pack  ## seven methods on the public validation (EVERY=1 for all of it), in runs/public
	$(BIN)/python recipes/validation_benchmark.py runs/public/public-validation --pack $(PACK) --quick --every $(EVERY)
	$(BIN)/mattelike evaluate runs/public/public-validation $(METHODS) -o runs/public/report

pack: $(PACK)/pack.json  ## what training reads, from the data sets in DATA

$(PACK)/pack.json: | setup
	$(BIN)/python recipes/pack.py $(DATA) $(PACK)

train: setup pack  ## the embedded model by its recipe; goes on where it was stopped
	$(BIN)/mattelike train recipes/embedded.toml --pack $(PACK)

model: setup  ## trains, exports and measures all that ships; SMOKE=1 rehearses it in minutes, in runs/smoke
	$(BIN)/python recipes/model.py $(if $(SMOKE),--smoke runs/smoke,--data $(DATA) --pack $(PACK) $(MODEL))

graphs: setup  ## the shipped graphs, from the committed checkpoint or the average of RUN
	$(BIN)/python recipes/export.py $(RUN)

validate: setup pack  ## the public validation of the shipped model
	$(BIN)/python recipes/validate.py embedded --pack $(PACK)

lock: setup  ## the versions of .venv as constraints.txt
	{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' | sort -f; } > .venv/lock
	mv .venv/lock constraints.txt

clean:  ## removes what was built here; not the environments
	rm -rf build dist demo docs/_build docs/api/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +
