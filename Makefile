# `make` without a target lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
CARGO ?= cargo
# For `make demo` (such as ARGS=--once) and `make test` (such as ARGS="--test process leader::").
ARGS ?=
FUZZ_SECONDS ?= 60
CACHE := $(or $(AMIGO_OPERATOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/amigo-operator)
# Helm reads no file outside the chart, so the chart has copies.
CRDS := crds charts/amigo-operator/files/crds
CHART_DOCS := --chart-search-root charts --sort-values-order file --skip-version-footer --log-level warning

.PHONY: help build check control-plane chart-tools promtool test faults soak budgets bench proofs fuzz mistakes sdk-test fidelity lint doc deny check-crds fmt demo crds chart-docs chart-test e2e e2e-kind image clean-cache

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## Build the programs
	$(CARGO) build --locked --workspace --bins

# The crates that other projects can depend on; all but the client are pure.
PURE := --package amigo-permissions --package amigo-api --package amigo-lifecycle
PUBLIC := $(PURE) --package amigo-client

# The model alone takes most of a minute; `make test` runs it.
check: ## Check format and lints, and run the pure tests but the model: the loop while you write code
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --quiet $(PURE) --lib -- --skip grant::tests::model

control-plane: ## Build etcd, kube-apiserver and kubectl once, and print their directory
	@tests/control-plane/build.sh

chart-tools: ## Build helm, kubeconform and helm-docs once, and print their directory
	@tests/tools/build.sh chart

promtool: ## Build promtool once, and print its directory
	@tests/tools/build.sh promtool

test: ## Run all tests, including the tests against a real API server
	@tests/tools/build.sh chart >/dev/null
	@tests/tools/typecheck/build.sh >/dev/null
	@assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$$assets && $(CARGO) test --locked --workspace $(ARGS) && \
	{ [ -n "$(ARGS)" ] || $(CARGO) test --locked --all-features --test process otlp::; }

# Two cores are idle for most of the time, so all three tests run at once.
faults: ## Crash the operator before and after each effect, and in pairs (AMIGO_FAULTS_SEED=N repeats the pairs)
	@assets=$$(tests/control-plane/build.sh) && KUBEBUILDER_ASSETS=$$assets \
	$(CARGO) test --locked --workspace --features amigo-operator/crash-points --test process crash_points:: -- --ignored --nocapture --test-threads=3

soak: ## Run three replicas with faults and kills under many grants and roles (SOAK_MINUTES=20, AMIGO_SOAK_SEED=N repeats one)
	@assets=$$(tests/control-plane/build.sh) && KUBEBUILDER_ASSETS=$$assets \
	$(CARGO) test --locked --workspace --test process soak:: -- --ignored --nocapture --test-threads=1

budgets: ## Measure the requests, memory and delays of a release build
	$(CARGO) build --locked --release --bin amigo-operator
	@assets=$$(tests/control-plane/build.sh) && folder=$${CARGO_TARGET_DIR:-target} && \
	OPERATOR_BINARY="$$folder/release/amigo-operator" KUBEBUILDER_ASSETS=$$assets \
	$(CARGO) test --locked --workspace --test process budgets:: -- --nocapture --test-threads=1

bench: ## Measure a permission check in a role of fifty grants, and fail above 2 µs
	$(CARGO) bench --locked --bench evaluate

proofs: ## Search for counterexamples to the grant protocol: more than a million states, and random schedules
	$(CARGO) test --locked --release --package amigo-lifecycle --lib grant::tests::model -- --include-ignored --nocapture
	PROPTEST_CASES=20000 $(CARGO) test --locked --release --package amigo-lifecycle --lib grant::tests::random

# Two tests run at a time on two cores, so eight of them take four times as long.
fuzz: ## Send random and edited inputs to every parser (FUZZ_SECONDS for each)
	BOLERO_RANDOM_TEST_TIME_MS=$(FUZZ_SECONDS)000 $(CARGO) test --locked --workspace --lib --test pure fuzz -- --nocapture

mistakes: ## Make each mistake of tests/mistakes.yaml in a copy of the sources, and expect that a test fails
	@assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$$assets && \
	$(CARGO) test --locked --workspace --test pure mistakes:: -- --include-ignored --nocapture

sdk-test: ## Test the sandbox with Amigo's Python SDK; needs Python 3.11 and the network
	$(CARGO) test --locked --workspace --test sandbox sdk:: -- --ignored

fidelity: sdk-test ## Test the sandbox with Amigo's API document, too (API_DOCUMENT=FILE; default: the SDK's)
	API_DOCUMENT="$(abspath $(API_DOCUMENT))" $(CARGO) test --locked --workspace --test sandbox schema:: -- --ignored --nocapture

lint: ## Check format, lints, layers, words, documentation and generated files
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	@tests/tools/lint/layers.sh
	@tests/tools/lint/words.sh
	@$(MAKE) --no-print-directory doc check-crds

doc: ## Build the documentation of the public crates, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet $(PUBLIC)

deny: ## Check advisories, licenses, bans and sources of the dependencies; needs cargo-deny and the network
	$(CARGO) deny --locked check

check-crds: ## Check that crds/, the chart's copies and docs/reference.md match the types
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(CARGO) run --locked --quiet --bin amigo-operator -- crds --output-dir "$$folder" && \
	for copy in $(CRDS); do \
	diff -r $$copy "$$folder" || { echo "$$copy differs from the types: run 'make crds'" >&2; exit 1; }; done && \
	$(CARGO) run --locked --quiet --package amigo-dev -- reference | diff docs/reference.md - || \
	{ echo "docs/reference.md differs from the types: run 'make crds'" >&2; exit 1; }

fmt: ## Format the code
	$(CARGO) fmt --all

# A debug build, because it shares the artifacts of `make test`, and the demo waits for clocks, not for code.
demo: build ## Run the demo on this machine; with ARGS=--once it ends by itself
	@assets=$$(tests/control-plane/build.sh) && folder=$${CARGO_TARGET_DIR:-target} && \
	KUBEBUILDER_ASSETS=$$assets "$$folder/debug/amigo-dev" tour $(ARGS)

crds: ## Generate crds/, the chart's copies and docs/reference.md from the types
	for copy in $(CRDS); do $(CARGO) run --locked --quiet --bin amigo-operator -- crds --output-dir $$copy; done
	$(CARGO) run --locked --quiet --package amigo-dev -- reference > docs/reference.md

chart-docs: ## Generate the chart's README.md from its values and README.md.gotmpl
	@$$(tests/tools/build.sh chart)/helm-docs $(CHART_DOCS)

chart-test: ## Test the chart and its admission policies with helm, kubeconform and a real API server
	@tests/tools/build.sh chart >/dev/null
	@tests/tools/typecheck/build.sh >/dev/null
	@assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$$assets && \
	$(CARGO) test --locked --workspace --test install chart:: && $(CARGO) test --locked --workspace --test cluster admission::

# Without KUBECONFIG the suite starts a control plane of its own; `make test` always does.
e2e: ## Test the chart's lifecycle on the cluster in KUBECONFIG, or locally (E2E_IMAGE, E2E_SANDBOX_IMAGE)
	@tests/tools/build.sh chart >/dev/null
	@[ -n "$(KUBECONFIG)" ] || assets=$$(tests/control-plane/build.sh) && export KUBEBUILDER_ASSETS=$${assets:-$$KUBEBUILDER_ASSETS} && \
	E2E_KUBECONFIG="$(KUBECONFIG)" $(CARGO) test --locked --workspace --test install e2e:: -- --nocapture

e2e-kind: image ## Test it with new images on a new kind cluster (KUBERNETES=v1.36.1, or NODE_IMAGE); needs docker or podman
	@ENGINE="$(ENGINE)" IMAGE="$(IMAGE)" SANDBOX_IMAGE="$(SANDBOX_IMAGE)" KUBERNETES="$(KUBERNETES)" NODE_IMAGE="$(NODE_IMAGE)" \
	tests/install/e2e/kind.sh

# The engine: docker, or podman.
ENGINE ?= $(firstword $(foreach engine,docker podman,$(if $(shell $(engine) info >/dev/null 2>&1 && echo yes),$(engine))))
IMAGE ?= amigo-operator:dev
SANDBOX_IMAGE ?= amigo-sandbox:dev

image: ## Build the images of operator and sandbox (IMAGE, SANDBOX_IMAGE, FEATURES=otlp, BUILD_CA=FILE); needs docker or podman
	@[ -n "$(ENGINE)" ] || { echo "no container engine answers: start docker or podman, or name one with ENGINE" >&2; exit 1; }
	@for target in operator sandbox; do \
	case $$target in operator) image="$(IMAGE)" ;; sandbox) image="$(SANDBOX_IMAGE)" ;; esac; \
	$(ENGINE) build --target $$target --tag "$$image" --build-arg REVISION="$$(git rev-parse HEAD)" \
	--build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)" --build-arg FEATURES="$(FEATURES)" \
	--build-arg BUILD_CA="$(if $(BUILD_CA),$$(cat "$(BUILD_CA)"))" . && \
	$(ENGINE) image inspect --format "$$image: {{.Size}} bytes" "$$image" || exit 1; done

clean-cache: ## Remove the cached control planes and tools
	rm -rf "$(CACHE)/control-plane" "$(CACHE)/tools"
