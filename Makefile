# make demo: the whole study on the shipped model.  make test: the test suite.  make docs: the documentation's site.
# All install what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Those that run without arguments; the others are named in docs/benchmarks.md.
BENCHMARKS := sandbox_verdicts scoring selection switching estimate neurons alignment evaluation

.PHONY: install demo test lint docs format bench clean sandbox browser

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# Python compiles what is imported; pip would compile the rest too, which takes longer than to write it.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

sandbox:
	@sh tools/install_package.sh bubblewrap "generated programs can't be run safely" bwrap

browser:
	@sh tools/install_package.sh chromium "the report page isn't tested in a browser" chromium chromium-browser google-chrome

demo: install sandbox
	$(BIN)/codingspot demo

test: install sandbox browser
	@# One thread a worker: two workers of two threads each would wait for one another on two cores.
	@# Files in their order: by number of tests, those of few and long ones would come last, and a worker would wait.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

docs: install
	@# Material's advertisement of its successor isn't a fault of the pages.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install sandbox
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:
	rm -rf $(VENV) build dist site
