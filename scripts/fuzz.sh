#!/usr/bin/env bash
# Run every fuzz test of the module for FUZZTIME (default 20s) each; no root.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# fuzz_tests PACKAGE lists its fuzz tests, one a line.
fuzz_tests() { as_builder go test -list '^Fuzz' "$1" | grep '^Fuzz' || true; }

find_go
cd "$ROOT"
for package in $(as_builder go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
	for name in $(fuzz_tests "$package"); do
		say "$package $name"
		as_builder go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-20s}" "$package"
	done
done
