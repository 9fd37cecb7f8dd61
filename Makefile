# The tasks of this repository. Each makes and refreshes its own .venv first; nothing has to be installed by hand but Python 3.11+.
.DEFAULT_GOAL := help
.PHONY: help broker demo test lint types up bench faults hostile incidents rabbitmq fuzz containers docs lock clean format
MAKEFLAGS += --no-print-directory

# Without bytecode each start of Python compiles all it imports anew, which doubles the time of the tests and of the demo.
# Where the environment asks for no bytecode, it is kept out of the source tree, not out of use.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
endif

READY := .venv/.ready
BIN := .venv/bin
PYPROJECTS := pyproject.toml $(wildcard shared/pyproject.toml services/*/pyproject.toml tests/*/pyproject.toml)
MYPY_PARTS = shared $(wildcard services/*) tests $(wildcard tools/*.py) deploy/grafana deploy/aws/stacks.py deploy/docker/install.py

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(READY): constraints.txt $(PYPROJECTS) tools/bootstrap
	@PYTHON="$(PYTHON)" tools/bootstrap
	@touch $@

BROKERS = embedded activemq rabbitmq

# BROKER=activmq must not run the embedded broker as if nothing had been said.
broker: $(READY)
	@$(BIN)/python tools/one_of.py BROKER '$(BROKER)' $(BROKERS)

# BROKER=activemq, BROKER=rabbitmq: the same on a local broker, every service as a process of its own (SCORING=n of scoring).
LOCAL_MESH = $(BIN)/python -m reefmesh_components.local_mesh --broker $(BROKER)

demo: broker ## a simulated fleet through the whole mesh: reefs, alerts, accounting, on a terminal the sites (about a minute; BROKER=activemq, rabbitmq)
ifneq ($(filter activemq rabbitmq,$(BROKER)),)
	@$(LOCAL_MESH) demo --scoring $(or $(SCORING),2) $(ARGS)
else
	@$(BIN)/reefmesh demo $(ARGS)
endif

up: broker ## the whole mesh in one process, until Ctrl-C (BROKER=activemq, rabbitmq: broker and services as processes, SCORING=2)
ifneq ($(filter activemq rabbitmq,$(BROKER)),)
	@$(LOCAL_MESH) up --scoring $(or $(SCORING),2) $(ARGS)
else
	@$(BIN)/reefmesh up $(ARGS)
endif

# A pipeline sets CI by itself; there the short runs of the long selections come on top.
test: $(READY) ## every test that this machine can run, in PROCESSES=3 (CI=1: and the pipeline's; REEFMESH_REQUIRE=postgresql,pgbouncer,activemq,rabbitmq,mosquitto,promtool,amtool,chromium: no skipping)
	@$(BIN)/python -m pytest --numprocesses $(or $(PROCESSES),3) --dist worksteal \
		$(if $(CI),-m 'not faults and not hostile and not incidents and not rabbitmq') $(ARGS)

lint: $(READY) ## style, formatting and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## bring the code into the one format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: $(READY) ## mypy, strict, on all code and tests
	@$(BIN)/mypy $(MYPY_PARTS)

bench: BROKERS = embedded activemq rabbitmq all
bench: MATRICES = 1 quick tiny
bench: broker ## throughput, latency, CPU (BROKER=activemq, rabbitmq; all: one table beside plain pipelines; MATRIX=1, quick: JMS Benchmark)
ifneq ($(MATRIX),)
	@$(BIN)/python tools/one_of.py MATRIX '$(MATRIX)' $(MATRICES)
	@$(BIN)/python tests/bench/matrix.py '$(MATRIX)' $(if $(BROKER),--broker $(BROKER)) $(ARGS)
else
	@$(BIN)/python tests/bench/$(if $(filter all,$(BROKER)),comparison,$(or $(BROKER),embedded)).py $(ARGS)
endif

faults: broker ## the long fault suite; FAULTS=300 SEED=7: so many random faults on a whole mesh, then the checker (BROKER=rabbitmq)
ifdef FAULTS
	@$(BIN)/python -m reefmesh_faults $(if $(BROKER),--engine $(BROKER)) --faults $(FAULTS) --seed $(or $(SEED),1) --json reports/faults$(addprefix -,$(BROKER))-$(or $(SEED),1).json $(ARGS)
else
	@$(BIN)/python -m pytest -m faults $(ARGS)
endif

hostile: BROKERS = activemq rabbitmq
hostile: broker ## every act of an attacker on a real mesh; ACTS=5000 SEED=7: so many random ones, then the checker (BROKER=rabbitmq)
ifdef ACTS
	@$(BIN)/python -m reefmesh_hostile $(if $(BROKER),--engine $(BROKER)) --acts $(ACTS) --seed $(or $(SEED),1) --json reports/hostile$(addprefix -,$(BROKER))-$(or $(SEED),1).json $(ARGS)
else
	@$(BIN)/python -m pytest -m 'hostile or rabbitmq or not hostile' $(if $(filter rabbitmq,$(BROKER)),tests/hostile/test_acts_rabbitmq.py,tests/hostile --ignore tests/hostile/test_acts_rabbitmq.py) $(ARGS)
endif

incidents: $(READY) ## every bad day of an operator, for real: failover, PgBouncer, a purge (ARGS=--write-incidents: and the page)
	@$(BIN)/python -m pytest -m 'incidents or not incidents' tests/incidents $(ARGS)

rabbitmq: $(READY) ## the long selection on a real RabbitMQ: every law in each mode, what goes wrong at the broker, random faults
	@$(BIN)/python -m pytest -m rabbitmq $(ARGS)

fuzz: $(READY) ## random input to all that reads bytes from outside, SECONDS for each target (60); Linux
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tests/faults/fuzz/requirements.txt
	@nice -n 19 $(BIN)/python tests/faults/fuzz/fuzz.py --seconds $(or $(SECONDS),60) $(ARGS)

containers: $(READY) ## the compose file for real, with figures; needs a Docker engine (ARGS="--no-build --with observability")
	@$(BIN)/python tests/deploy/compose_walk.py $(ARGS)

docs: $(READY) ## write anew what is made from code: docs/{asyncapi.yaml,openapi.json,gateway-openapi.json,metrics.md,modules.md}, the dashboards, the catalogues of languages
	@$(BIN)/python tools/asyncapi.py
	@$(BIN)/python tools/openapi.py
	@$(BIN)/python -m reefmesh_gateway.door.openapi > docs/gateway-openapi.json
	@$(BIN)/python -m reefmesh.observability.metrics_page > docs/metrics.md
	@$(BIN)/python deploy/grafana/generate.py
	@$(BIN)/python tools/modules.py > docs/modules.md
	@$(BIN)/python tools/languages.py

lock: $(READY) ## pin all dependencies anew in constraints.txt (ARGS=--upgrade: to the newest)
	@tools/lock $(ARGS)

clean: ## remove .venv and everything else that was made here
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist reports
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
