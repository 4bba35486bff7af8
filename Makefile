# What there is to do here. `make` alone lists it.

# rustup's, where its folder is not in PATH.
CARGO ?= $(or $(shell command -v cargo),$(HOME)/.cargo/bin/cargo)
# Where cargo leaves what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Given on the command line: `make demo-send SUBJECT="…" TEXT="…"`, `make demo DEMO_ONCE=1 PROVIDER=exchange`.
SUBJECT ?= Hello from the terminal
TEXT ?= Can you help me?
export DEMO_ONCE
export PROVIDER

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: demo
demo: deps ## the worker at work: private servers, forty-odd mails, until Ctrl-C (DEMO_ONCE=1: then exits; PROVIDER=exchange: Outlook)
	@$(CARGO) build --locked --workspace --bins
	@$(TARGET)/debug/demo

.PHONY: demo-send
demo-send: ## send a mail into the running demo: SUBJECT="…" TEXT="…"
	@$(TARGET)/debug/demo send "$$DEMO_SUBJECT" "$$DEMO_TEXT"
# By way of the environment, and unexpanded: quotes and dollars in a mail are text.
demo-send: export DEMO_SUBJECT = $(value SUBJECT)
demo-send: export DEMO_TEXT = $(value TEXT)

.PHONY: deps
deps: ## install what is missing (Debian, Ubuntu), or say what it is
	@tests/devstack/install.sh

.PHONY: test
test: deps ## every test, against real servers of its own
	$(CARGO) test --locked --workspace

.PHONY: check
check: deps ## format, lints and documentation, without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items

# Given on the command line: `make soak KILLS=5000 SEED=42`, `make fuzz FUZZ_SECONDS=60`.
KILLS ?= 2000
SEED ?=
FUZZ_SECONDS ?= 20

.PHONY: soak
soak: deps ## the crash test with thousands of kills: KILLS=2000, SEED=… to repeat one
	POSTROOM_KILLS=$(KILLS) POSTROOM_SEED=$(SEED) $(CARGO) test --locked --test crash -- --nocapture killed_hundreds

.PHONY: fuzz
fuzz: deps ## look for mail and answers that break the worker: FUZZ_SECONDS=20 for each target
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	@set -e; for target in $$($(CARGO) fuzz list); do \
	  seeds=; [ ! -d fuzz/seeds/$$target ] || seeds=fuzz/seeds/$$target; \
	  [ $$target != read_mail ] || seeds=tests/mail; \
	  mkdir -p fuzz/corpus/$$target; \
	  $(CARGO) fuzz run -s none $$target fuzz/corpus/$$target $$seeds -- -max_total_time=$(FUZZ_SECONDS) -timeout=30; \
	done

.PHONY: bench
bench: deps ## how fast mail is read, how soon it is told, what waiting costs
	$(CARGO) bench --locked

.PHONY: ci
ci: check test ## what must pass before a merge
