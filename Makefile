# Every target is one line that calls Go or a script; `make help` lists them.
.PHONY: help build build-lan dist draft demo test test-runtimes test-kernels test-boot test-cluster cluster claims conformance test-arm64 lint bench soak chaos fuzz mutants clean

help: ## print this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1\t/p' Makefile

build: ## build the static binaries bin/patchbay and bin/patchbay-agent (VERSION=x.y.z stamps that version)
	@scripts/build.sh

build-lan: ## build the static binary bin/patchbay-lan (docs/lan.md)
	@scripts/build-lan.sh

dist: ## build a release in dist/: binaries, tar.gz, .deb, .rpm, image, SBOM, SHA256SUMS; the same bytes each time (VERSION=x.y.z)
	@scripts/dist.sh

draft: ## draft a release of GitHub from dist/ (the workflow release.yml does)
	@scripts/draft.sh

demo: ## attach two namespaces to a br0 with an uplink, in a host that is a namespace (HERE=1: this machine)
	@scripts/demo.sh

test: ## run the tests that need only plain tools; built as you, run as root (RUN=regexp: only those)
	@scripts/test.sh quick

test-runtimes: ## run the others: containerd, CRI-O, LXC, docker, firewalld ..., every crash, fault and load test (RUN=regexp: only those)
	@scripts/test.sh runtimes

test-kernels: ## run the tests of the network on other kernels, in virtual machines (KERNELS="6.1 6.12-arm64"; RUN=regexp: only those)
	@scripts/test-kernels.sh

test-boot: ## run the tests on Debian 12 with systemd, booted in virtual machines (RUN=regexp: only those)
	@scripts/test-boot.sh

test-cluster: ## run the tests of patchbay-agent with a real API server, built once (RUN=regexp: only those; PATCHBAY_NODES=1000)
	@scripts/test-cluster.sh

cluster: ## run three real kubelets with patchbay-agent, and their tests (RUN=regexp: only those; HOLD=1: until Ctrl-C, without tests)
	@scripts/cluster.sh

claims: ## check that the last `make test`, `make test-runtimes` and `make test-boot` kept every promise of test/claims.md
	@scripts/test.sh claims

conformance: ## check any CNI plugin with the conformance kit (PLUGIN=/opt/cni/bin/bridge PROFILE=reference-bridge, or a file; docs/conformance.md)
	@scripts/conformance.sh

test-arm64: ## build for arm64, and run the tests of the pure packages by qemu-user
	@scripts/test-arm64.sh

lint: ## check form: gofumpt, go vet, golangci-lint, commit subjects; known vulnerabilities: govulncheck
	@scripts/lint.sh

bench: ## compare with the reference plugins and the bare kernel (BENCH=quick|full)
	@scripts/bench.sh

soak: ## attach and detach at random against a model (ROUNDS=200; SEED=n repeats the calls of a run; TIME=24h: measure that nothing grows)
	@scripts/soak.sh

chaos: ## kill calls, swap versions, kill containerd, delete rules and bridges, for TIME=1h (SEED=n ROUND=n repeats the calls of a round)
	@scripts/chaos.sh

fuzz: ## run every fuzz test (FUZZTIME=20s each)
	@scripts/fuzz.sh

mutants: ## break each promise of the code in a copy, and check that its test fails (MUTANTS=glob: only those patches)
	@scripts/mutants.sh

clean: ## remove bin, dist and .cache
	@scripts/clean.sh
