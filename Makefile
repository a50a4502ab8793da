# The names of these targets are what the README promises. A bare `make` lists them.

PY      := .venv/bin/python
STAMP   := .venv/.installed
PIP      = $(PY) -m pip install --quiet --disable-pip-version-check
# Compiled modules that do not fit their sources are never used: this tells if there are any.
CURRENT := import sys; from finalizer import RUNNING; sys.exit(RUNNING.name == "OUTDATED")
# Files of tests side by side: they mostly wait, for a broker or for a deadline. `JOBS=0` runs one after the other.
JOBS     = 4
SIDE_BY_SIDE = -n $(JOBS) --dist loadfile
EXTRAS  := worker,demo,otlp,dev
# The newest Python on the PATH that is 3.11 or later; `make install PYTHON=/path/to/python` chooses another.
FITS    := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
             command -v $$p >/dev/null 2>&1 && $$p -c '$(FITS)' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-pure sim fuzz test-kafka test-otel bench profile bench-check lint types kafka collector clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## .venv with the `finalizer` command, compiled where there is a C compiler
	@$(PY) -c '$(CURRENT)' || { echo "Compiling anew: sources have changed"; $(PIP) --no-deps -e .; }
	@$(PY) -c 'import finalizer; print(finalizer.RUNNING.sentence)'

demo: $(STAMP) ## a broker, a worker and a crowd of clients, of which some crash; ends by itself
	@.venv/bin/finalizer demo

test: $(STAMP) ## every test that needs no Java
	$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-pure: $(STAMP) ## the law, the stories and the bugs put in, on the sources that are compiled
	SPAN_FINALIZER_PURE=1 $(PY) -m pytest tests/core tests/laws tests/scenarios tests/sim tests/test_compiled.py $(SIDE_BY_SIDE) $(ARGS)

sim: $(STAMP) ## 10,000 made worlds with every fault, in virtual time; `make sim ARGS="--seed 7 --worlds 1"`
	@.venv/bin/finalizer sim --worlds 10000 $(ARGS)

fuzz: $(STAMP) ## a million inputs that nobody should send, guided by coverage; `make fuzz ARGS="--inputs 10000000"`
	@$(PY) -c 'import atheris' 2>/dev/null || $(PIP) -c constraints.txt 'atheris>=3.0'
	@$(PY) -m tests.fuzz $(ARGS)

test-kafka: JOBS = 2
test-kafka: $(STAMP) ## the tests on Apache Kafka (Java 17+ and Maven; the jars are fetched once)
	@$(PY) -m tests.brokers.kafka --check
	$(PY) -m pytest $(SIDE_BY_SIDE) tests/kafka $(ARGS)

test-otel: $(STAMP) ## the span processor on each release of OpenTelemetry's SDK that it supports
	@$(PY) -m tests.client.sdk_releases $(ARGS)

bench: install ## every load beside its peers in one run; `make bench ARGS="--loads mixed,worst --rounds 3 --scale 0.1"`
	@$(PY) -m tests.bench $(ARGS)

profile: install ## where a worker's time goes, in microseconds an event, of a real run
	@$(PY) -m tests.bench.profile $(ARGS)

bench-check: install ## does the road cost more than it did? Ratios in one process; `ARGS=--set` after a change that is meant
	@$(PY) -m tests.bench.check $(ARGS)

lint: $(STAMP) ## style, types and the walls between the rooms
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

types: $(STAMP) ## mypy --strict alone
	$(PY) -m mypy

kafka: $(STAMP) ## Apache Kafka on loopback, in the foreground (Java 17+ and Maven)
	@$(PY) -m tests.brokers.kafka

collector: $(STAMP) ## build a stock OpenTelemetry collector, once; the tests that need one run then (Go 1.25+)
	@$(PY) -m tests.collector.binary

clean: ## remove .venv and everything made beside it
	rm -rf .venv build dist finalizer/compiled.txt *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find finalizer tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find finalizer -name '*.so' -delete

$(STAMP): pyproject.toml deploy/compiling.py constraints.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and none is on the PATH." \
	  "Install it, or say where it is: make install PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -c '$(FITS)' || { echo "$(PYTHON) is not Python 3.11 or newer." >&2; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian: python3-venv)." >&2; exit 1; }
	@echo "Installing into .venv (once; later runs are instant)"
	@$(PIP) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
