# `make` without a target prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
CARGO ?= cargo
# For `make demo` (such as ARGS=--once) and `make test` (such as ARGS="--test process leader::").
ARGS ?=
CACHE := $(or $(AMIGO_OPERATOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/amigo-operator)
# Helm reads no file outside of the chart, so the chart has copies.
CRDS := crds charts/amigo-operator/files/crds
CHART_DOCS := --chart-search-root charts --sort-values-order file --skip-version-footer --log-level warning

.PHONY: help build control-plane chart-tools promtool test budgets bench proofs sdk-test lint check-crds fmt demo crds chart-docs chart-test image clean-cache

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## Build the programs
	$(CARGO) build --locked --workspace --bins

control-plane: ## Build etcd, kube-apiserver and kubectl, once, and print their folder
	@tests/control-plane/build.sh

chart-tools: ## Build helm, kubeconform and helm-docs, once, and print their folder
	@tests/tools/build.sh chart

promtool: ## Build promtool, once, and print its folder
	@tests/tools/build.sh promtool

test: ## Run all tests, those against a real API server included
	@tests/tools/build.sh chart >/dev/null
	@tests/tools/typecheck/build.sh >/dev/null
	@assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$$assets && $(CARGO) test --locked --workspace $(ARGS) && \
	{ [ -n "$(ARGS)" ] || $(CARGO) test --locked --all-features --test process otlp::; }

budgets: ## Measure what a release build costs: requests, memory, delays
	$(CARGO) build --locked --release --bin amigo-operator
	@assets=$$(tests/control-plane/build.sh) && folder=$${CARGO_TARGET_DIR:-target} && \
	OPERATOR_BINARY="$$folder/release/amigo-operator" KUBEBUILDER_ASSETS=$$assets \
	$(CARGO) test --locked --test process budgets:: -- --nocapture --test-threads=1

bench: ## Time the permission check in a role of fifty grants, and hold it to its budget
	$(CARGO) bench --locked --bench evaluate

proofs: ## Search the grant protocol for counterexamples longer than `make test` does: about two minutes
	PROPTEST_CASES=20000 $(CARGO) test --locked --package amigo-lifecycle --lib grant::tests::schedules

sdk-test: ## Check the sandbox with Amigo's official Python SDK (needs Python 3.11 and the network)
	$(CARGO) test --locked --test sandbox sdk:: -- --ignored

lint: ## Check format, lints, and that generated files are up to date
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	@$(MAKE) --no-print-directory check-crds

check-crds: ## Check that crds/, the chart's copies and docs/reference.md are what the types say
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(CARGO) run --locked --quiet --bin amigo-operator -- crds --output-dir "$$folder" && \
	for copy in $(CRDS); do \
	diff -r $$copy "$$folder" || { echo "$$copy differs from the types: run 'make crds'" >&2; exit 1; }; done && \
	$(CARGO) run --locked --quiet --package amigo-dev -- reference | diff docs/reference.md - || \
	{ echo "docs/reference.md differs from the types: run 'make crds'" >&2; exit 1; }

fmt: ## Format the code
	$(CARGO) fmt --all

# Not a release build: it shares what `make test` compiled, and the tour waits for clocks, not for code.
demo: build ## Take the tour on this machine; ARGS=--once ends by itself
	@assets=$$(tests/control-plane/build.sh) && folder=$${CARGO_TARGET_DIR:-target} && \
	KUBEBUILDER_ASSETS=$$assets "$$folder/debug/amigo-dev" tour $(ARGS)

crds: ## Write crds/, the chart's copies and docs/reference.md anew from the types
	for copy in $(CRDS); do $(CARGO) run --locked --quiet --bin amigo-operator -- crds --output-dir $$copy; done
	$(CARGO) run --locked --quiet --package amigo-dev -- reference > docs/reference.md

chart-docs: ## Write the chart's README.md anew from its values and README.md.gotmpl
	@$$(tests/tools/build.sh chart)/helm-docs $(CHART_DOCS)

chart-test: ## Test the Helm chart and its admission policies with helm, kubeconform and a real API server
	@tests/tools/build.sh chart >/dev/null
	@tests/tools/typecheck/build.sh >/dev/null
	@assets=$$(tests/control-plane/build.sh) && KUBEBUILDER_ASSETS=$$assets $(CARGO) test --locked --test install -- chart:: admission::

# Without KUBECONFIG the suite starts a control plane of its own; `make test` always does.
e2e: ## Install the chart where KUBECONFIG says, walk every kind through its life, uninstall (E2E_IMAGE=name:tag)
	@tests/tools/build.sh chart >/dev/null
	@[ -n "$(KUBECONFIG)" ] || assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$${assets:-$$KUBEBUILDER_ASSETS} && \
	E2E_KUBECONFIG="$(KUBECONFIG)" $(CARGO) test --locked --test install e2e:: -- --nocapture

e2e-kind: ## Make a kind cluster, load the image, run the same suite, delete the cluster (KUBERNETES=v1.36.1)
	@ENGINE="$(ENGINE)" IMAGE="$(IMAGE)" SANDBOX_IMAGE="$(SANDBOX_IMAGE)" KUBERNETES="$(KUBERNETES)" tests/install/e2e/kind.sh

# The engine: docker, or podman.
ENGINE ?= $(firstword $(foreach engine,docker podman,$(if $(shell $(engine) info >/dev/null 2>&1 && echo yes),$(engine))))
IMAGE ?= amigo-operator:dev
SANDBOX_IMAGE ?= amigo-sandbox:dev

image: ## Build the images of the operator and the sandbox (IMAGE, SANDBOX_IMAGE, FEATURES=otlp); needs docker or podman
	@[ -n "$(ENGINE)" ] || { echo "no container engine answers: start docker or podman, or name one with ENGINE" >&2; exit 1; }
	@for target in operator sandbox; do \
	case $$target in operator) image="$(IMAGE)" ;; sandbox) image="$(SANDBOX_IMAGE)" ;; esac; \
	$(ENGINE) build --target $$target --tag "$$image" --build-arg REVISION="$$(git rev-parse HEAD)" \
	--build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)" --build-arg FEATURES="$(FEATURES)" . && \
	$(ENGINE) image inspect --format "$$image: {{.Size}} bytes" "$$image" || exit 1; done

clean-cache: ## Remove the control planes and tools built so far
	rm -rf "$(CACHE)/control-plane" "$(CACHE)/tools"
