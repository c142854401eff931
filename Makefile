# Needs Python 3.11 and make; everything else goes into .venv.
#
#   make app  ARGS=--no-browser     arguments go to `hamexplorer app`
#   make test ARGS="-m slow"        arguments go to pytest
#   make test WORKERS=0             in one process
#   make app  PYTHON=/path/python3.11

VENV := .venv
BIN := $(VENV)/bin
ARGS :=
WORKERS := 2

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
# The first of the two that runs and is new enough (a name may exist and not run: pyenv's shims).
PYTHON ?= $(shell for p in python3.11 python3; do \
	"$$p" -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

.DEFAULT_GOAL := help
# Two installations into one environment must never run side by side.
.NOTPARALLEL:
.PHONY: help app env test lint bench clean distclean

help:
	@echo "make app        install, then open the app on the MoS2 example"
	@echo "make test       install, then run the tests"
	@echo "make lint       ruff and mypy"
	@echo "make bench      benchmarks"
	@echo "make env        only install what the tests need"
	@echo "make clean      remove caches and build results"
	@echo "make distclean  the same and the environment, $(VENV)"

app: $(VENV)/.installed-app
	$(BIN)/hamexplorer app $(ARGS)

env: $(VENV)/.installed-test

# One BLAS thread: with more, on busy cores, small eigenproblems run a hundred times slower.
test bench: export OMP_NUM_THREADS := 1
test bench: export OPENBLAS_NUM_THREADS := 1
test bench: export MKL_NUM_THREADS := 1

test: env
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .benchmarks
	find . -path './$(VENV)' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf '$(VENV)'

# The environment. A stamp is written only after pip succeeded, so an interrupted installation
# is taken up again, and a changed pyproject.toml installs anew. A larger set contains the smaller.
$(VENV)/.installed-app: EXTRAS :=
$(VENV)/.installed-test: EXTRAS := [notebook,train,test]
$(VENV)/.installed-dev: EXTRAS := [notebook,train,test,dev]
$(VENV)/.installed-app: CONTAINS :=
$(VENV)/.installed-test: CONTAINS := app
$(VENV)/.installed-dev: CONTAINS := app test

$(VENV)/.installed-app $(VENV)/.installed-test $(VENV)/.installed-dev: pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(create-environment); }
	$(BIN)/python -m pip install --editable '.$(EXTRAS)'
	@touch $@ $(CONTAINS:%=$(VENV)/.installed-%)

# A tested Python and its venv module, or a message that says what to install.
define create-environment
python='$(PYTHON)'; \
if ! "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1; then \
	echo "hamexplorer needs Python 3.11, 3.12 or 3.13; '$${python:-python3.11 or python3}' is not one" >&2; \
	echo "that runs here. Install Python 3.11, or name yours: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 2; \
elif ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	echo "$$python has no venv module with ensurepip, so no environment can be made with it." >&2; \
	echo "On Debian and Ubuntu: sudo apt install python3-venv (for another than the system's" >&2; \
	echo "Python: python3.11-venv), then the same make command again." >&2; \
	exit 2; \
fi; \
echo "Making the environment $(VENV) (some minutes, about 3 GB on disk; more with CUDA)"; \
"$$python" -m venv --clear '$(VENV)'
endef
