# Two commands do everything on a machine with python3 (3.11 or newer) and make:
#   make demo    set up, and run the main job on the bundled sample
#   make test    set up, and run the tests
PYTHON ?= python3
VENV ?= .venv
REFERENCE ?= .venv-reference
TORCH ?= torch==2.13.0
QT ?= PySide6-Essentials
BIN := $(VENV)/bin
SOURCES := pyproject.toml $(shell find xtec cli pipelines nexpy_plugin sample_data -type f -not -name "*.pyc")
PIP := -m pip --disable-pip-version-check --quiet

export OMP_NUM_THREADS ?= 2

# So many processes share the tests, by files; one that crashes ends them: the others would wait for it.
PROCESSES ?= 2
TESTS = pytest -n $(PROCESSES) --dist loadfile --max-worker-restart=0
FOR_TESTS = OMP_NUM_THREADS=1 XTEC_REFERENCE_PYTHON=$(abspath $(REFERENCE))/bin/python

.PHONY: demo test test-all coverage campaign lint docs format wheel-check gpu-check clean help

help:
	@sed -n '2,4s/^# *//p' Makefile
	@echo "  make test-all    tests that take minutes too; make coverage: which lines the others run"
	@echo "  make campaign    faults of all kinds, many times over"
	@echo "  make lint    style, types and layers; make wheel-check: the demo from a source distribution, elsewhere"
	@echo "  make docs    the documentation as a site, in build/site"
	@echo "  make gpu-check   the Dockerfile's CUDA target without Docker: what a machine without a GPU is told"

demo: $(VENV)/.installed
	$(BIN)/xtec demo

test: $(VENV)/.test $(REFERENCE)/.installed
	$(FOR_TESTS) $(BIN)/$(TESTS) -m "not slow and not campaign"

test-all: $(VENV)/.test $(REFERENCE)/.installed
	$(FOR_TESTS) $(BIN)/$(TESTS) -m "not campaign"

# Faults of all kinds, many times over: hours. FAULTS names some tests, as for pytest.
FAULTS ?= tests
campaign: $(VENV)/.test
	$(BIN)/pytest -m campaign --durations=0 $(FAULTS)

# Lines that tests run, without the slow ones and those in which coverage could not write either.
coverage: $(VENV)/.test $(REFERENCE)/.installed
	$(BIN)/python $(PIP) install coverage
	$(FOR_TESTS) $(BIN)/coverage run -m $(TESTS) -m "not slow and not campaign" --deselect tests/faults/test_no_room.py
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report --skip-covered

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Warnings are errors.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The source distribution, wheels made of it, and these in an empty environment outside the checkout, with no
# other place to install from: the steps of the Dockerfile's CPU target.
wheel-check: $(VENV)/.installed
	folder=$$(mktemp -d) && trap 'rm -rf '"$$folder" EXIT \
	  && $(PYTHON) -m venv $$folder/build && $$folder/build/bin/python $(PIP) install build \
	  && $$folder/build/bin/python -m build --sdist --outdir $$folder . >/dev/null \
	  && $(BIN)/python $(PIP) wheel --wheel-dir $$folder/wheels $$folder/*.tar.gz \
	  && $(PYTHON) -m venv $$folder/venv \
	  && $$folder/venv/bin/python $(PIP) install --no-index --find-links $$folder/wheels xtec-pipeline \
	  && cd $$folder && venv/bin/xtec demo -o run && test -s run/results.nxs && test -s run/report.html \
	  && venv/bin/xtec recipe init cdw && venv/bin/xtec doctor

# The steps of the Dockerfile's CUDA target; several GB. Without a device, --backend cupy must end with exit code 5.
gpu-check: $(VENV)/.installed
	folder=$$(mktemp -d) && trap 'rm -rf '"$$folder" EXIT \
	  && $(BIN)/python $(PIP) wheel --no-deps --wheel-dir $$folder/wheels . \
	  && $(PYTHON) -m venv $$folder/venv \
	  && $$folder/venv/bin/python $(PIP) install --find-links $$folder/wheels "xtec-pipeline[gpu]" \
	  && cd $$folder && venv/bin/xtec simulate tiny -o tiny.nxs \
	  && { venv/bin/xtec cluster tiny.nxs -o run --backend cupy; code=$$?; echo "exit code $$code"; \
	    if nvidia-smi >/dev/null 2>&1; then test $$code -eq 0; else test $$code -eq 5; fi; }

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "xtec needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.dependencies: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(PIP) install .
	touch $@

$(VENV)/.installed: $(VENV)/.dependencies $(SOURCES)
	rm -rf build
	$(BIN)/python $(PIP) install --no-deps --force-reinstall .
	touch $@

# PyTorch by itself first: left to the extra, pip takes the newest, which may bring gigabytes for a GPU.
$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python $(PIP) install $(TORCH)
	$(BIN)/python $(PIP) install "$(CURDIR)[test,learned,nexpy]" $(QT)
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python $(PIP) install "$(CURDIR)[lint]"
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python $(PIP) install "$(CURDIR)[docs]"
	touch $@

$(REFERENCE)/.installed:
	$(PYTHON) -m venv $(REFERENCE)
	$(REFERENCE)/bin/python $(PIP) install "xtec==0.1.1" numpy scipy matplotlib tqdm
	touch $@

clean:
	rm -rf $(VENV) $(REFERENCE) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
