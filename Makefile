# Everything runs from a virtual environment made here; only Python and a C compiler are needed.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
OUT    ?= out/demo

# A bare folder `datasets/` in the current directory must not look like a package of that name.
export PYTHONSAFEPATH := 1

.PHONY: demo test slow check format lint types layers bench install clean

demo: install  ## measure, fit, search, verify, train and report on this machine
	$(BIN)/elat demo --out $(OUT)

test: install  ## the default test suite
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

slow: install  ## the longer tests that CI runs besides
	$(BIN)/pytest -m slow -n 2 --dist loadfile

check: lint types layers test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	mkdir -p $(VENV)/typing && ln -sfn "$(CURDIR)" $(VENV)/typing/elat
	MYPYPATH=$(VENV)/typing $(BIN)/mypy -p elat

layers: install
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## figures of docs/benchmarks.md, and out/bench.json; about three hours
	mkdir -p out
	$(BIN)/pytest --benchmark-only --benchmark-json=out/bench.json \
		--benchmark-columns=min,median,iqr,rounds tests/benchmarks

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache
