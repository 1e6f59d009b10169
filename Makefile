# Every target is one line that calls Go or a script; `make help` lists them.
.PHONY: help build demo test lint bench soak fuzz mutants clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile

build: ## build the static binary bin/patchbay (VERSION=x.y.z stamps that version)
	@scripts/build.sh

demo: ## attach two namespaces to a br0 with an uplink, in a host that is a namespace (HERE=1: this machine)
	@scripts/demo.sh

test: ## run every test; built as you, run as root (RUN=regexp: only those)
	@scripts/test.sh

lint: ## check form: gofumpt, go vet, golangci-lint; known vulnerabilities: govulncheck
	@scripts/lint.sh

bench: ## compare with the reference plugins and the bare kernel (BENCH=quick|full)
	@scripts/bench.sh

soak: ## attach and detach at random, for long, against a model (ROUNDS=200, SEED=n makes the same calls again)
	@scripts/soak.sh

fuzz: ## run every fuzz test (FUZZTIME=20s each)
	@scripts/fuzz.sh

mutants: ## break each promise of the code in a copy, and see its test go red (MUTANTS=glob: only those patches)
	@scripts/mutants.sh

clean: ## remove bin and .cache
	@scripts/clean.sh
