# Everything runs in .venv, which the first target creates from requirements.txt with nothing but Python 3.11 or newer.
SHELL := /bin/sh
PYTHON ?= python3
PROFILE ?= laptop
SEEDS ?=
DATA ?=
TABLE ?=
ROW ?=
SEED ?=
TO ?=
WORKERS ?=
REHEARSE ?=
BUDGET ?=
BYTES ?=
SCALE ?=
TILE ?=
METHOD ?=
FORMAT ?=
OUT ?=
REPOSITORY ?=

VENV := .venv
RUN := $(VENV)/bin/python -m
# Memory that a step gives back is kept for the next one, as for workers (lib/srdistill/study/engine/cluster.py).
export MALLOC_ARENA_MAX ?= 1
export MALLOC_MMAP_THRESHOLD_ ?= 33554432
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
export MALLOC_TOP_PAD_ ?= 67108864
ifneq ($(REHEARSE),)
export SRDISTILL_REHEARSE := $(REHEARSE)
endif
READY := $(VENV)/.ready
NOTEBOOKS := $(basename $(notdir $(sort $(wildcard notebooks/[0-9][0-9]_*.py))))
EXPORT := export
# What was asked for goes through the environment, unexpanded: names of folders may hold quotes, dollars, backticks and spaces.
export ASKED_PROFILE = $(value PROFILE)
export ASKED_SEEDS = $(value SEEDS)
export ASKED_DATA = $(value DATA)
export ASKED_WORKERS = $(value WORKERS)
export ASKED_TABLE = $(value TABLE)
export ASKED_ROW = $(value ROW)
export ASKED_SEED = $(value SEED)
export ASKED_TO = $(value TO)
export ASKED_OUT = $(value OUT)
export ASKED_BUDGET = $(value BUDGET)
export ASKED_BYTES = $(value BYTES)
export ASKED_SCALE = $(value SCALE)
export ASKED_TILE = $(value TILE)
export ASKED_METHOD = $(value METHOD)
export ASKED_FORMAT = $(value FORMAT)
export ASKED_REPOSITORY = $(value REPOSITORY)
OWN := --profile="$$ASKED_PROFILE" $${ASKED_DATA:+--data="$$ASKED_DATA"}
OPTIONS := $(OWN) $${ASKED_SEEDS:+--seeds="$$ASKED_SEEDS"} $${ASKED_WORKERS:+--workers="$$ASKED_WORKERS"}
# Files of tests and notebooks go to two processes, in the order of their names; each works by itself, on one thread.
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help tables plan test lab bench report $(EXPORT) distill sync clean $(NOTEBOOKS)

help:
	@echo "make tables             execute every notebook, write papers_tables/ and print the board of claims"
	@echo "make plan               what make tables would compute, what it needs, and how long it takes; computes nothing"
	@echo "make 02_downscaled_init execute one notebook ($(NOTEBOOKS))"
	@echo "make test               unit, notebook and failure tests"
	@echo "make lab                open JupyterLab on the paired notebooks; WORKERS= gives every notebook its own"
	@echo "make bench              benchmarks: ratios against the plain way of doing the same work"
	@echo "make report             the site, a book that needs no network, in build/site; REPOSITORY=https://github.com/owner/name"
	@echo "                        adds a way into Colab to two notebooks"
	@echo "make export TABLE=dietz_t4  the distilled sets of a finished table, in build/export or TO=; ROW= for one row,"
	@echo "                        SEED= for one seed, FORMAT=pictures|basicsr|mosaics|dd-ranking"
	@echo "make distill DATA=folder BUDGET=1%  a small training set for super-resolution from a folder of pictures; also SCALE=2|3|4,"
	@echo "                        FORMAT=png|webp|cheapest, OUT=, TILE=, METHOD=, BYTES= instead of BUDGET=, WORKERS=; see its card.md"
	@echo "make sync               bring the cells of notebooks/*.ipynb up to date with notebooks/*.py, outputs kept"
	@echo "make clean              remove build/ (the store of finished tasks with it) and $(VENV)/"
	@echo ""
	@echo "PROFILE=smoke|laptop|desktop|gpu|paper   size of the run (default laptop)"
	@echo "SEEDS=5                          number of seeds (default: the profile's)"
	@echo "DATA=folder                      train on your own photographs; tests on folder/test if there is one"
	@echo "WORKERS=4                        processes of one thread each (default: the physical cores; with a GPU one)"
	@echo "REHEARSE=1                       two steps of everything that the profile does, on the CPU, before days go into it"
	@echo "PYTHON=python3.12                the Python to make $(VENV) with"
	@echo ""
	@echo "Environment variables:"
	@echo "SRDISTILL_DATA, SRDISTILL_WEIGHTS   folders with data sets and with weights"
	@echo "SRDISTILL_STORE                     folder of finished tasks (default: build/store); shared by all machines of a cluster"
	@echo "SRDISTILL_SCHEDULER=tcp://host:8786 a running Dask cluster to use instead of this machine's own workers"
	@echo "SRDISTILL_WORKERS=4                 as WORKERS="
	@echo "SRDISTILL_PROFILE                   the profile of a notebook that is opened by hand (default: laptop)"
	@echo "SRDISTILL_DEVICE=cpu|cuda           where tasks run (default: the GPU if there is one)"
	@echo "SRDISTILL_STYLEGAN_XL_SHA256, SRDISTILL_STYLEGAN_XL_CODE   see the README: StyleGAN-XL's pickle and its code"

# Two runs at once must not both fill .venv: the second waits on the lock, which goes with the process that holds it.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed, this is ' + sys.version.split()[0] + '; name another with PYTHON=')"
	@$(PYTHON) -c "import fcntl, subprocess, sys; lock = open('.venv.lock', 'w'); fcntl.flock(lock, fcntl.LOCK_EX); sys.exit(subprocess.call(sys.argv[1:]))" \
		sh -ec 'if [ $(READY) -nt requirements.txt ] && [ $(READY) -nt pyproject.toml ]; then exit 0; fi; \
		echo "creating $(VENV) (a few minutes the first time)"; \
		test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV); \
		$(RUN) pip install --quiet --disable-pip-version-check -r requirements.txt; \
		$(RUN) pip install --quiet --disable-pip-version-check --no-deps --editable .; \
		touch $(READY)'

tables: $(READY)
	@$(RUN) srdistill.study.run $(OPTIONS)

plan: $(READY)
	@$(RUN) srdistill.study.plan $(OPTIONS)

$(NOTEBOOKS): $(READY)
	@$(RUN) srdistill.study.run $@ $(OPTIONS)

test: $(READY)
	@$(VENV)/bin/ruff check lib notebooks tests
	@$(VENV)/bin/lint-imports
	@$(RUN) pytest tests $(TWO)
	@env -u SRDISTILL_SCHEDULER -u SRDISTILL_WORKERS SRDISTILL_PROFILE=smoke $(RUN) pytest $(TWO) --nbval-lax --nbval-cell-timeout=300 -p no:cacheprovider notebooks

lab: $(READY)
	@$${ASKED_WORKERS:+env SRDISTILL_WORKERS="$$ASKED_WORKERS"} $(VENV)/bin/jupyter lab --LabApp.default_url=/lab/tree/notebooks

bench: $(READY)
	@$(RUN) pytest tests/benchmarks --benchmark-columns=median,min,max,rounds --override-ini norecursedirs=build

report: $(READY)
	@$(RUN) srdistill.book $${ASKED_REPOSITORY:+--repository="$$ASKED_REPOSITORY"}

# Spelled out, export would be a directive of make.
$(EXPORT): $(READY)
	@test -n "$$ASKED_TABLE" || { echo "name a table, e.g. make export TABLE=dietz_t4"; exit 2; }
	@$(RUN) srdistill.study.export $(OWN) $${ASKED_ROW:+--row="$$ASKED_ROW"} $${ASKED_FORMAT:+--format="$$ASKED_FORMAT"} \
		$${ASKED_SEED:+--seed="$$ASKED_SEED"} $${ASKED_TO:+--to="$$ASKED_TO"} -- "$$ASKED_TABLE"

distill: $(READY)
	@$(RUN) srdistill.distill --data="$$ASKED_DATA" $${ASKED_OUT:+--out="$$ASKED_OUT"} \
		$${ASKED_BUDGET:+--budget="$$ASKED_BUDGET"} $${ASKED_BYTES:+--bytes="$$ASKED_BYTES"} \
		$${ASKED_SCALE:+--scale="$$ASKED_SCALE"} $${ASKED_TILE:+--tile="$$ASKED_TILE"} \
		$${ASKED_METHOD:+--method="$$ASKED_METHOD"} $${ASKED_FORMAT:+--format="$$ASKED_FORMAT"} \
		$${ASKED_WORKERS:+--workers="$$ASKED_WORKERS"}

sync: $(READY)
	@$(RUN) srdistill.study.pairs

clean:
	rm -rf build $(VENV) .venv.lock
