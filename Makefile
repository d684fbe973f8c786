# `make demo` is the shortest way in; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/sbin:/sbin

TARGET := x86_64-unknown-linux-gnu
OUT := target/$(TARGET)/release
INIT := target/$(TARGET)/init/nestlab-init
NESTLAB := $(CURDIR)/target/nestlab
DEMO := $(NESTLAB) -C examples/consul-ha

.PHONY: help deps test-deps build demo demo-down test unit e2e lint soak bench generate clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

deps: ## Install what this machine lacks (Debian, Ubuntu)
	@scripts/install-deps

test-deps: ## Install what this machine and the tests lack
	@scripts/install-deps --tests

# The init is built first: the program carries it.
build: deps ## Build target/nestlab, one static program
	cargo rustc --profile init --locked -p nestlab-init -- -C relocation-model=static
	NESTLAB_INIT=$(CURDIR)/$(INIT) cargo build --release --locked -p nestlab
	install -m 755 $(INIT) target/nestlab-init.new && mv target/nestlab-init.new target/nestlab-init
	install -m 755 $(OUT)/nestlab target/nestlab.new && mv target/nestlab.new target/nestlab

demo: build ## Bring up three nested Consul servers and show that they live
	$(DEMO) up
	$(DEMO) status
	$(DEMO) exec l1/consul-1 -- consul members
	@echo "The same, asked through a port of this machine:"
	@scripts/show-members 8500
	@echo "It runs on: \`make demo-down\` removes it."

demo-down: ## Remove the demo and everything it wrote
	$(DEMO) destroy --yes

test: test-deps lint unit build e2e ## All checks, real nested machines included

unit: ## Tests that need no machine
	@if command -v cargo-nextest >/dev/null; then \
	  cargo nextest run --locked --workspace --exclude nestlab-e2e; \
	else \
	  cargo test --locked --workspace --exclude nestlab-e2e; \
	fi

# One at a time: the machines of one test are enough for a small computer.
e2e: ## Stories of whole labs, with real machines
	cargo test --locked -p nestlab-e2e -- --test-threads=1 --nocapture
	scripts/contract

lint: ## Format, clippy, duplicated or forbidden dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/check-deps

soak: build ## The end-to-end tests again and again (ROUNDS=10)
	@scripts/soak "$${ROUNDS:-10}"

bench: build ## Measure; JSON goes to target/bench.json
	@scripts/bench

generate: ## Rewrite generated files: schema, references
	cargo run --locked -p nestlab-labfile --example generate
	NESTLAB_GENERATE=1 cargo test --locked -p nestlab --bin nestlab the_page_is_current

clean: ## Remove what was built (not your labs)
	cargo clean
