# Every target installs what it needs into the project's cache (outside the checkout) and says how long it takes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelrollout
PYTHON ?= python3
PY := .venv/bin/python
BOOTSTRAP := $(CACHE)/bootstrap-$(shell sha256sum requirements-bootstrap.txt | cut -c1-12)
export UV_CACHE_DIR ?= $(CACHE)/uv
# Children find the package without an install step, also before `.venv` is complete.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help venv demo demo-down test unit apiserver fuzz chaos chaos-real chaos-states chaos-seeded chaos-cluster chaos-full traefik istio e2e tutorials e2e-kind bench bench-data bench-evidence bench-scale bench-stats soak lint format crds crds-check lock docs clean chart gitops phases image release-check bench-failover bench-cli profiles

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.ok: requirements-dev.lock requirements-bootstrap.txt pyproject.toml
	@echo "==> Python environment from requirements-dev.lock (about 10 s, first time about 60 s)"
	@test -x $(BOOTSTRAP)/bin/uv || { rm -rf $(BOOTSTRAP); $(PYTHON) -m venv $(BOOTSTRAP) && \
	  $(BOOTSTRAP)/bin/pip install -q --require-hashes -r requirements-bootstrap.txt; }
	@test -x $(PY) || $(BOOTSTRAP)/bin/uv venv -q --python $(PYTHON) .venv
	@$(BOOTSTRAP)/bin/uv pip sync -q --python $(PY) --require-hashes requirements-dev.lock
	@$(BOOTSTRAP)/bin/uv pip install -q --python $(PY) --no-deps -e .
	@touch $@

venv: .venv/.ok ## Python environment from the lock

lint: venv ## ruff, mypy strict, import-linter
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: venv ## let ruff mend what it can
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

crds: venv ## write crds/ from the API models
	$(PY) -m modelrollout.api.crd --write crds --docs docs/reference/api.md

image: venv ## the operator's image, without a container engine, and its SBOM: dist/modelrollout.tar, .spdx.json (10 s, first time a minute)
	$(PY) -m e2e.image --out dist/modelrollout.tar
	$(PY) -m e2e.sbom --out dist/modelrollout.spdx.json

phases: venv ## write which phase follows which into its page, from the search through small rollouts (20 s)
	$(PY) -m e2e.chaos.model.phases --write

gitops: venv ## play rollouts, and write what Argo CD, kstatus and Flux say of them (a minute; first time two)
	$(PY) -m e2e.gitops --write

release-check: venv ## is this a release; then image, chart package, SBOM and their sums in dist/VERSION/ (RELEASE=--trial: though it is none)
	$(PY) -m e2e.release $(RELEASE)

profiles: venv ## write the catalogue of SLI profiles into its reference page
	$(PY) -m modelrollout.catalog.page --write docs/reference/profiles.md

chart: venv ## write the chart's copies of the CRDs and its README
	$(PY) -m e2e.chart --write

crds-check: venv ## fail when crds/ is not current
	$(PY) -m modelrollout.api.crd --check crds --docs docs/reference/api.md

unit: venv ## tests that need no server
	$(PY) -m pytest tests -m "not apiserver and not kstatus"

test: venv lint crds-check ## everything that needs no full cluster, with a real API server
	@$(PY) -m e2e.cluster prepare
	$(PY) -m pytest tests -n 2 --dist loadfile

# Those with clusters of their own come first, so that no other cluster stands beside the one that the rollouts share.
TUTORIALS := e2e/scenarios/test_tutorials.py
E2E ?= $(filter-out $(TUTORIALS),$(sort $(wildcard e2e/scenarios/test_*.py))) e2e/scenarios/rollouts

e2e: venv ## the full cluster, real traffic (about 35 minutes)
	$(PY) -m pytest $(E2E)

tutorials: venv ## the tutorials on late labels and on a language model, command by command (10 minutes)
	$(PY) -m pytest $(TUTORIALS)

# What the provider does not have is skipped with its reason. E2E_KIND="e2e/scenarios/rollouts": all rollout scenarios.
E2E_KIND ?= e2e/scenarios/kind e2e/scenarios/test_gateway.py e2e/scenarios/test_install.py
E2E_KIND_LIMIT ?= 60m

e2e-kind: export MODELROLLOUT_PROVIDER = kind
e2e-kind: venv ## the operator on a real kind cluster, with the machine's Docker or a private one (8 minutes; first time 4 more beyond the parts of make e2e)
	timeout --foreground --signal=INT --kill-after=120s $(E2E_KIND_LIMIT) $(PY) -m pytest $(E2E_KIND)

demo: venv ## three real rollouts on a real local cluster
	$(PY) -m e2e.demo

demo-down: venv ## end the demo's cluster
	$(PY) -m e2e.cluster down --name demo

fuzz: venv ## hostile objects and answers, other ones each time (about 20 minutes; FUZZ="-k source", FUZZ_EXAMPLES=1000)
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/property/test_hostile_objects.py tests/property/test_hostile_answers.py $(FUZZ)

chaos: venv ## fault suite in virtual time (2 to 4 minutes, 8 at most; CHAOS="--plans 0": every fault at every write, hours)
	$(PY) -m e2e.chaos --minutes 8 $(CHAOS)

chaos-real: venv ## SIGKILL at every write of the operator's process, on a real API server (16 minutes; CHAOS="--family all": every fault, 4 hours)
	@$(PY) -m e2e.cluster prepare
	$(PY) -m e2e.chaos.real $(CHAOS)

chaos-states: venv ## all states of small rollouts (CHAOS=--quick: half a minute, else hours; --seconds N: that long for each)
	$(PY) -m e2e.chaos.model $(CHAOS)

chaos-seeded: venv ## known mistakes, put into a copy of the operator: does the fault suite see them (20 minutes)
	$(PY) -m e2e.chaos.mutate $(CHAOS)

chaos-cluster: venv ## parts of a real cluster fail under real traffic (10 minutes)
	$(PY) -m pytest e2e/scenarios/faults -s

TRAEFIK ?= tests/apiserver/traefik e2e/scenarios/traefik
traefik: venv ## real requests through a real Traefik: while weights move, and in whole rollouts on a full cluster, as root (ten minutes; first time builds it, five more)
	@$(PY) -m e2e.cluster.traefik
	$(PY) -m pytest $(TRAEFIK)

istio: venv ## real requests through an Envoy that a real istiod steers (two minutes; first time builds istiod, five more: not in .ci/run)
	@$(PY) -m e2e.cluster.istio
	$(PY) -m pytest tests/apiserver/istio

chaos-full: venv ## the fault suite at length (some hours): every fault at every write, all states, seeded bugs, its page
	mkdir -p e2e-artifacts/chaos
	$(PY) -m e2e.chaos --plans 0 --json e2e-artifacts/chaos/plans.json
	@$(PY) -m e2e.cluster prepare
	$(PY) -m e2e.chaos.real --family all --json e2e-artifacts/chaos/real.json
	$(PY) -m e2e.chaos.model --seconds 60 --json e2e-artifacts/chaos/states.json
	$(PY) -m e2e.chaos.mutate --json e2e-artifacts/chaos/seeded.json
	$(PY) -m e2e.chaos.page --plans e2e-artifacts/chaos/plans.json --states e2e-artifacts/chaos/states.json \
	  --real e2e-artifacts/chaos/real.json --seeded e2e-artifacts/chaos/seeded.json --on "$$(date -u +%Y-%m-%d), $$(nproc) cores" --out e2e-artifacts/chaos/faults-measured.md
	$(MAKE) chaos-cluster

bench: venv ## performance figures
	$(PY) -m e2e.bench

bench-stats: venv ## error rates and speed of the statistics, on simulated counts (BENCH=--quick: 8 minutes, else an hour)
	$(PY) -m e2e.stats $(BENCH)

bench-evidence: venv ## cost of the evidence of 100 and 1000 moving rollouts, with a real Prometheus (6 minutes)
	$(PY) -m e2e.evidence $(BENCH)

bench-scale: venv ## 100, 1000, 5000 rollouts: start, moving, failover, all bad at once, at rest (BENCH="--rollouts 100": 6 minutes)
	$(PY) -m e2e.scale $(BENCH)

bench-failover: venv ## leaders killed, frozen and upgraded under traffic, on a full cluster (half an hour; BENCH="--times 1")
	$(PY) -m e2e.failover $(BENCH)

bench-cli: venv ## what the command line makes people wait for, with 1,000 rollouts (3 minutes; BENCH="--rollouts 100")
	@$(PY) -m e2e.cluster prepare
	$(PY) -m e2e.bench_cli $(BENCH)

soak: venv ## an operator under churn for two hours: memory, files, series, stuck rollouts (SOAK="--hours 0.1": a trial)
	$(PY) -m e2e.scale.soak $(SOAK)

bench-data: venv ## real data sets with known changes, replayed (10 minutes)
	$(PY) -m e2e.datasets

lock: venv ## resolve the dependencies anew
	$(BOOTSTRAP)/bin/uv pip compile pyproject.toml --universal --generate-hashes --no-header -q -o requirements.lock
	$(BOOTSTRAP)/bin/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header -q -o requirements-dev.lock

clean: ## remove what the targets made in the checkout (the cache stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache e2e-artifacts
