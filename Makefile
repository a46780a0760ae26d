# Each target is one script; the scripts say what they do and why. `make help` lists the targets.

.DEFAULT_GOAL := help
.PHONY: help up down check test test-api test-kill-switch e2e bench bench-admin bench-ban fuzz wasm prove clean

help: ## list the targets
	@scripts/help

up: ## install, build and start everything here; ends with three lines to try
	@scripts/up

down: ## stop what `make up` started
	@scripts/down

check: ## formatting, lints, scripts, configurations
	@scripts/check

test: ## every test: native, in Node as wasm, end to end
	@scripts/test

test-api: ## the API held against its own description by schemathesis, through Envoy; prints the coverage
	@scripts/test-api

test-kill-switch: ## the long tests of bans and revocations: the protocol's model, faults, 100,000 requests each
	@scripts/test-kill-switch

e2e: ## the end-to-end stories only
	@scripts/e2e

bench: ## Sekisho beside what people use now, in one Envoy: figures and targets; writes docs/performance.md
	@scripts/bench

bench-ban: ## how fast bans hold, and what a million of them cost: figures and targets
	@scripts/bench-ban

bench-admin: ## the sidecar with 100,000 tokens, a million audit events, 10,000 waiting workers: figures and targets
	@scripts/bench-admin

fuzz: ## ten minutes of made-up input for each part that reads what strangers write
	@scripts/fuzz

wasm: ## build the filter to .sekisho/plugin.wasm
	@scripts/build-wasm

prove: ## do what the README says in a bare Debian 12 (needs root and mmdebstrap)
	@scripts/prove-bare-machine

clean: ## remove what was built and fetched; data and secrets stay
	@scripts/clean
