# `make help` lists the targets. Each target does the set-up it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO := cargo
export CARGO_TERM_COLOR ?= never

.PHONY: help setup build check test vectors

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## installs the Debian packages that are missing; elsewhere says what to install
	@./testnet/setup.sh

build: setup ## the three programs, optimised
	$(CARGO) build --locked --release --bins

check: setup ## formatting and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

test: setup ## formatting, lints, all tests, documentation; prints its time
	@start=$$SECONDS; set -e; \
	$(CARGO) fmt --check; \
	$(CARGO) clippy --locked --all-targets -- -D warnings; \
	$(CARGO) test --locked; \
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet; \
	echo "make test took $$((SECONDS - start)) s"

vectors: setup ## every vector file; DIR=FOLDER runs the same tests over another folder
	VECTORS_DIR=$(if $(DIR),$(abspath $(DIR)),$(CURDIR)/proto/vectors) $(CARGO) test --locked --test vectors -- --nocapture --test-threads=1
