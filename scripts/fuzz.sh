#!/usr/bin/env bash
# Run every fuzz test of the modules in modules for FUZZTIME (default 20s) each; no root. It ends at the first one that fails; the
# input is then in testdata/fuzz of its package, and is a case of every `make test` once it is committed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

modules=(. plugins/patchbay-agent)

packages() { as_builder go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...; }

# fuzz_tests PACKAGE lists its fuzz tests, one a line.
fuzz_tests() {
	local all
	all=$(as_builder go test -list '^Fuzz' "$1") || die "$1 cannot be tested: $all"
	grep '^Fuzz' <<<"$all" || true
}

# fuzz PACKAGE NAME; left to itself, go makes each new input small for up to a minute, in which it tries nothing else.
fuzz() {
	say "$1 $2"
	as_builder go test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 100x "$1"
}

find_go
for module in "${modules[@]}"; do
	cd "$ROOT/$module"
	listed=$(packages)
	for package in $listed; do
		names=$(fuzz_tests "$package")
		for name in $names; do fuzz "$package" "$name"; done
	done
done
