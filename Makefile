# What a newcomer needs is `make demo` and `make test`: Python 3.11 or newer, a C++20 compiler, and nothing else.

PYTHON ?= python3
BIN := .venv/bin
NATIVE := $(shell find orderflow -name '*.pyx' -o -name '*.pxd' -o -name '*.hpp')

# A file of tests at a time on every processor; no benchmark is measured where others run.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -p no:benchmark

.PHONY: demo build test lint bench bench-routing soak scenarios asan tsan clean

demo: build                     ## trade for 20 seconds on three simulated exchanges
	$(BIN)/orderflow demo --seconds 20 --seed 7

build: .venv/.built             ## compile in place and install into .venv

test: build .venv/.test         ## all tests; those that build and install a wheel in CI only
	$(BIN)/python -m pytest $(PARALLEL) $(if $(CI),,-m "not wheel")

lint: build .venv/.lint         ## style, spelling, types, and stubs against the compiled modules
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint orderflow bench
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --concise --mypy-config-file pyproject.toml --allowlist \
		tests/stubtest_allowlist.txt --ignore-unused-allowlist --ignore-disjoint-bases orderflow._core

bench: build .venv/.test .venv/.bench    ## every bar with its measurement; fails on a MISS
	$(BIN)/python bench/run.py

bench-routing: build .venv/.test    ## what routing costs in basis points, against simpler ways; nothing is timed
	$(BIN)/python bench/bench_routing.py

soak: build .venv/.test         ## trading, recorded feeds, faults: an hour and more; fails when memory grows or a book lies
	$(BIN)/python bench/soak.py

scenarios: build .venv/.test    ## the failure scenarios, and their table in docs/reliability.md
	$(BIN)/python -m pytest $(PARALLEL) tests -k test_scenario_ --scenario-table docs/reliability.md

asan tsan: .venv/.test          ## the tests again with a sanitizer in the compiled modules
	.ci/sanitize $@ $(PARALLEL)

clean:
	rm -rf build dist .venv *.egg-info
	find orderflow bench \( -name '*.so' -o -name '*.cpp' \) -delete

.venv/.pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip      # --group needs 25.1
	@touch $@

# As a path, not by an import hook: so that Cython finds it too (from orderflow cimport Strategy).
.venv/.built: .venv/.pip pyproject.toml setup.py $(NATIVE)
	@echo "Compiling; the first time this takes a few minutes."
	PYTHONWARNINGS="ignore:Editable installation,ignore:Compat editable installs" $(BIN)/python -m pip install --quiet --editable . \
		--config-settings editable_mode=compat
	@touch $@

.venv/.test .venv/.bench .venv/.lint: .venv/.%: .venv/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@
