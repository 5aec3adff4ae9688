# `make help` lists the targets. Each target does the set-up it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO := cargo
export CARGO_TERM_COLOR ?= never

NODES ?= 4
CHAIN ?= devnet
HOURS ?= 4
TIME ?= 3600
RUN := testnet/run
RELEASE := target/release

.PHONY: help setup setup-tests setup-bench build check test vectors sim testnet testnet-status testnet-stop certs bench fuzz soak interop mutants deb deb-test

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## installs the Debian packages that are missing; elsewhere says what to install
	@./testnet/setup.sh

setup-tests: ## the same, and the browser that the tests drive
	@./testnet/setup.sh tests

setup-bench: ## the same, and the library that the digest is measured beside
	@./testnet/setup.sh bench

build: setup ## the three programs, optimised
	$(CARGO) build --locked --release --bins

# The fuzz targets are a workspace of their own, which nothing else would build.
CHECK_FUZZ := $(CARGO) check --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir target

deb: MANUALS = target/manuals
deb: COMPLETIONS = target/completions
deb: build ## the Debian package, in target/deb
	@rm -rf target/manuals target/completions; mkdir -p target/completions
	@$(RELEASE)/bitmark-cli manuals target/manuals
	@set -e; for program in bitmarkd bitmark-cli recorderd; do for shell in bash zsh fish; do \
	  $(RELEASE)/bitmark-cli completions $$shell --program $$program > target/completions/$$program.$$shell; \
	done; done
	@MANUALS="$(MANUALS)" COMPLETIONS="$(COMPLETIONS)" ./packaging/deb/build.sh $(RELEASE) target/deb

deb-test: deb ## installs the package into a folder of its own and starts a node from there
	@./packaging/deb/test.sh

check: setup ## formatting and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CHECK_FUZZ)

test: setup-tests ## formatting, lints, all tests, documentation; prints its time
	@start=$$SECONDS; set -e; \
	$(CARGO) fmt --check; \
	$(CARGO) clippy --locked --all-targets -- -D warnings; \
	$(CHECK_FUZZ); \
	$(CARGO) test --locked; \
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet; \
	echo "make test took $$((SECONDS - start)) s"

vectors: setup ## every vector file; DIR=FOLDER runs the same tests over another folder
	VECTORS_DIR=$(if $(DIR),$(abspath $(DIR)),$(CURDIR)/proto/vectors) $(CARGO) test --locked --test vectors -- --nocapture --test-threads=1

sim: ROUNDS = 200
sim: setup ## random lives of simulated networks: ROUNDS=200 FIRST=0, or SEED=n repeats one with a trace
	$(if $(SEED),SEED=$(SEED)) ROUNDS=$(ROUNDS) FIRST=$(or $(FIRST),0) $(CARGO) test --locked --release --test sim -- --nocapture

MUTANTS := cursor-moves-on-send new-epoch-keeps-the-cursor stale-generation-applied \
  parked-bundle-keeps-its-id ack-counts-undecided no-per-peer-quota bundle-returned-to-origin \
  proof-before-issues

# The fault is built into this crate alone, by a wrapper of the compiler, so that what it depends on
# is not built anew for each.
mutants: ROUNDS = 1000
mutants: setup ## whether the simulator finds each fault that is built in on purpose: ROUNDS=1000 ONE=name
	@mkdir -p target/mutants; missed=; \
	for name in $(or $(ONE),$(MUTANTS)); do \
	  wrapper=target/mutants/$$name.sh; log=target/mutants/$$name.log; \
	  printf '#!/bin/sh\nexec "$$@" --cfg '"'"'mutant="%s"'"'"'\n' $$name > $$wrapper; chmod +x $$wrapper; \
	  export RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/$$wrapper; \
	  $(CARGO) test --locked --release --test sim --no-run --quiet || exit 1; \
	  if ( for lives in sharing_machines sharing_lives; do \
	      ROUNDS=$(ROUNDS) FIRST=$(or $(FIRST),0) $(CARGO) test --locked --release --test sim $$lives -- --nocapture || exit 1; \
	    done ) > $$log 2>&1; \
	  then echo "$$name: NOT caught in $(ROUNDS) seeds"; missed=yes; \
	  else \
	    seed=$$(sed -n 's/.*sharing seed \([0-9]*\) fails.*/\1/p' $$log | head -1); \
	    if [ -z "$$seed" ]; then echo "$$name: failed otherwise, see $$log"; missed=yes; \
	    else echo "$$name: caught at seed $$seed: $$(grep -m1 -oE 'M[0-9]: .*' $$log)"; fi; \
	  fi; \
	done; [ -z "$$missed" ]

testnet: build ## starts a test network: NODES=4…16, CHAIN=devnet|local, HOURS=4 (0: no end)
	@$(RELEASE)/bitmarkd testnet start --nodes $(NODES) --chain $(CHAIN) --hours $(HOURS) --directory $(RUN)

testnet-status: ## shows the nodes of the test network
	@$(RELEASE)/bitmarkd testnet status --directory $(RUN)

testnet-stop: ## ends all of the test network
	@$(RELEASE)/bitmarkd testnet stop --directory $(RUN)

certs: build ## all keys and certificates of a node: NAME=… HOSTS=a,b CHAIN=bitmark PUBLISH=1
	@$(RELEASE)/bitmarkd make-certs --name "$(NAME)" $(if $(HOSTS),--hosts "$(HOSTS)") \
	  --chain $(if $(filter command environment,$(firstword $(origin CHAIN))),$(CHAIN),bitmark) $(if $(PUBLISH),--publish)

# The reference's programs are no part of this project: whoever runs this has them.
interop: setup ## our programs among the public Go ones: REFERENCE_BIN=FOLDER, and ROW=1…12 or ROW=life for a part
	@for program in bitmarkd recorderd bitmark-cli bitmark-info; do \
	  [ -x "$$REFERENCE_BIN/$$program" ] || { \
	    echo "REFERENCE_BIN must name a folder with $$program of bitmarkd v8.2; see proto/INTEROP.md" >&2; exit 1; }; \
	done
	$(CARGO) test --locked --test interop $(if $(ROW),$(if $(filter life,$(ROW)),life,row_$(shell printf %02d '$(ROW)')_)) -- \
	  --ignored --nocapture --test-threads=1

# The stores that are measured are kept in target/bench; those of a million records take a few minutes
# to build and 5 GB each, and as much again twice while they are measured.
bench: setup-bench ## what is measured, one table, kept in benches/results: ONLY="digest block" REFERENCE_BIN=FOLDER RECORDS=1000000
	$(if $(RECORDS),RECORDS=$(RECORDS)) $(CARGO) bench --locked --bench bench -- $(ONLY)

# Without a sanitizer the targets build with stable Rust; what they look for are panics,
# overflows, endless loops and memory.
define FUZZ
	@command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked
	@set -e; for target in $(or $(TARGET),$$($(CARGO) fuzz list)); do \
	  echo "== $$target: $(TIME) s"; \
	  $(CARGO) fuzz run $$target -s none -- -max_total_time=$(TIME) -timeout=10 -rss_limit_mb=2048; \
	done
endef

fuzz: TIME = 60
fuzz: setup ## every fuzz target for a minute: TARGET=one TIME=seconds
	$(FUZZ)

soak: TIME = 3600
soak: setup ## the same for TIME=3600 seconds each
	$(FUZZ)
