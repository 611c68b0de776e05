# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready

.PHONY: demo test check again lab slow fuzz wheel bench clean help

help:           ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/'

demo: $(STAMP)  ## the main job on the bundled incident, about a minute
	@$(BIN)/shadowlab demo --out out/demo

test: check     ## lint, types, import contracts, then the tests that are not slow
	$(BIN)/pytest -m "not slow" -n 2 --dist loadscope

check: $(STAMP) ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd extensions/recorder && ../../$(BIN)/mypy
	$(BIN)/lint-imports

again: check    ## what failed in the last run, once more and alone; fails when nothing is known to have failed
	$(BIN)/pytest --last-failed --last-failed-no-failures none --maxfail 1

slow: $(STAMP) $(VENV)/.engines ## the tests that need minutes, a browser, a container engine or Spark
	$(BIN)/pytest -m slow

lab: $(STAMP)   ## JupyterLab on the demo's case
	@test -f out/demo/case.json || $(BIN)/shadowlab demo --out out/demo
	@$(BIN)/shadowlab lab out/demo

fuzz: $(STAMP)  ## new examples for the property tests of the readers, then a minute of atheris (pip install atheris)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -q tests/test_telemetry_round_trip.py tests/test_telemetry_damage.py -k "split or arbitrary or come_back"
	$(BIN)/python tests/fuzz_readers.py -max_total_time=60

wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

bench: $(STAMP) ## seconds per verb on the demo, written to the README
	$(BIN)/python benchmarks/demo.py

clean:          ## everything that was made
	rm -rf $(VENV) out dist build

$(VENV)/.engines: $(STAMP)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[clickhouse,spark]' --group peers
	@touch $@

$(STAMP): pyproject.toml constraints.txt extensions/recorder/pyproject.toml
	@command -v git >/dev/null || { echo "git is missing: install it first" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable . --editable extensions/recorder --group dev
	$(BIN)/python -m compileall -q shadowlab extensions/recorder/shadowlab_recorder
	@touch $@
