# One word for each thing one does here. Everything sets itself up; see scripts/setup.
.PHONY: help run test check drills bench demo twins web web-types screenshots docs setup format clean

BIN := .venv/bin
# Where Python may not write bytecode beside the source, it does here: else each of the hundreds of processes that the
# tests start compiles all that it imports, which takes longer than most of the tests.
ifdef PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.cache/python
unexport PYTHONDONTWRITEBYTECODE
endif
# One worker more than the two cores that the suite is built for: a third of the time, tests wait for what other
# processes and clocks do.
WORKERS ?= 3

# What the code and the pages promise of themselves, as far as that is told in seconds: no server, no browser. The import
# rules are looked at by lint-imports itself.
QUICK := tests/architecture $(addprefix tests/docs/test_,architecture_page.py conformance_page.py features.py links.py)

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make .venv with the locked dependencies
	@scripts/setup

twins: setup ## compile what every request passes, when it has changed; without a compiler Python does it
	@$(BIN)/python scripts/twins.py

web: setup ## build the dashboard when it has changed
	@$(BIN)/python scripts/web.py build

web-types: setup ## write the dashboard's types of the admin API from its OpenAPI document
	$(BIN)/python scripts/web.py types

screenshots: web ## take the pictures of docs/images of the dashboard with demo traffic (some minutes)
	@$(BIN)/python scripts/screenshots.py

run: web twins ## serve the dashboard with live demo traffic on http://127.0.0.1:8321 (CUSTODES_PORT)
	@$(BIN)/custodes demo --serve

demo: setup ## send demo traffic to the server that is running
	@$(BIN)/custodes demo

test: web ## the whole test suite
	@$(BIN)/python scripts/twins.py --for-tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations 25 --durations-min 2

check: setup ## format, lint, types, import rules, generated docs, promises of code and pages, the dashboard
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint --max-line-length 120 src/custodes
	$(BIN)/lint-imports
	$(BIN)/python scripts/reference.py --check
	$(BIN)/pytest -q $(QUICK) --deselect tests/architecture/test_structure.py::test_imports_point_down
	$(BIN)/python scripts/web.py check

docs: setup ## write docs/reference from the code
	$(BIN)/python scripts/reference.py

drills: twins ## the full count of every drill, with its figures (ROUNDS, TRIES)
	CUSTODES_DRILL_ROUNDS=$(or $(ROUNDS),30) CUSTODES_DRILL_TRIES=$(or $(TRIES),10000) \
	$(BIN)/pytest -s -m drill --timeout 3600 tests

bench: twins ## every benchmark, with its peer in the same run
	$(BIN)/python -m benchmarks

format: setup ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/web.py format

clean: ## forget what was set up and built
	rm -rf .venv .cache dist build src/custodes/_web $(shell find src -name "_*.so") web/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache
