# `make demo` and `make test` do all of their own set-up. `make help` lists the rest.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help demo test test-avx2 fuzz kills lint types audit sizes docs notebooks clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
ifneq ($(UV),)
	@test -x $(BIN)/python || uv venv --python $(PYTHON) $(VENV)
	uv pip install --quiet --python $(BIN)/python --torch-backend cpu --constraints constraints.txt --editable '.[dev]'
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

demo: $(STAMP)  ## a real photograph becomes 31 bands at four times the resolution
	$(BIN)/finewave demo

test: $(STAMP)  ## the test suite, on up to four processor cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

fuzz: $(STAMP)  ## five thousand changed files of all formats through the readers, and what came of them
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.campaign

test-avx2: $(STAMP)  ## the tests that depend on arithmetic, as on a processor with AVX2 only, on one thread and on four
	for threads in 1 4; do \
	  ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=$$threads $(BIN)/python -m pytest \
	    tests/nn tests/metrics tests/physics tests/systems tests/calibration tests/evaluation tests/inference \
	    tests/training || exit 1; \
	done

kills: $(STAMP)  ## commands killed at random moments and run out of disk, then given again: a table
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills.campaign

lint: $(STAMP)  ## ruff and the direction of imports between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy
	$(BIN)/mypy

audit: $(STAMP)  ## known vulnerabilities of the installed packages, where the advisory service answers
	$(BIN)/python -m benchmarks.audit

sizes: $(STAMP)  ## the wheel, and a base installation of it in an empty environment: how large they are
	$(BIN)/python -m benchmarks.sizes

docs: $(STAMP)  ## the documentation as a site, in build/site
	$(BIN)/python docs/theme/build.py build/site

notebooks: $(STAMP)  ## the notebooks of the gallery executed, and stored with their outputs
	$(BIN)/python docs/notebooks/execute.py

clean:  ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build/site
