# Domus: what there is to do. `make` alone lists it.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# So many tests run at a time: one beside the lab, which keeps a CPU busy by itself. 0 runs them in this process, for a debugger.
WORKERS ?= 2

# ONCE=1 ends the demo (or the lab's) after its order.
DEMO_OPTIONS := $(if $(filter 1 yes true,$(ONCE)),--once)
# METHOD=bootstrap installs the lab's VPS from packages, not from the template.
LAB_OPTIONS := $(DEMO_OPTIONS) $(addprefix --method ,$(METHOD))

.DEFAULT_GOAL := help
.PHONY: help demo test lab bench check clean

help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Touched only at the end, so that an interrupted installation is tried again.
$(STAMP): pyproject.toml tools/make_venv.py
	$(PYTHON) tools/make_venv.py $(VENV)
	@touch $@

demo: $(STAMP) ## a whole Domus on this machine with simulated dom0s, and one order; ONCE=1 ends after it
	@$(BIN)/python -m domus_stack demo $(DEMO_OPTIONS)

test: $(STAMP) ## all tests: unit, functional, integration, lab
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

lab: $(STAMP) ## the demo's story on a real Xen dom0 in QEMU; ONCE=1 ends after it, METHOD=bootstrap
	@$(BIN)/python -m domus_lab story $(LAB_OPTIONS)

bench: $(STAMP) ## benchmarks against named peers; writes bench/results.json; ONLY=name, ROUNDS=n
	@$(BIN)/python -m bench $(addprefix --only ,$(ONLY)) $(addprefix --rounds ,$(ROUNDS))

check: $(STAMP) ## style, types, import contracts, migrations and the house's own rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/python tools/checks/run.py

clean: ## remove the virtual environment and everything the demo left
	rm -rf $(VENV) .domus
