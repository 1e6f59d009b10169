#!/usr/bin/env bash
# Check form: gofumpt, go vet, golangci-lint (.golangci.yml), go mod tidy, and that every script parses.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
modules=(. test)

# check NAME CMD... runs one check and goes on, so that one run shows everything.
check() {
	say "lint: $1"
	shift
	"$@" || failed=1
}

unformatted() {
	local files
	files=$(cd "$ROOT" && as_builder "$PATCHBAY_CACHE_BIN/gofumpt" -l conf pkg plugins test)
	[[ -z $files ]] && return
	printf 'not formatted, run .cache/bin/gofumpt -w on:\n%s\n' "$files" >&2
	return 1
}

parse_scripts() {
	local script
	for script in "$ROOT"/scripts/*.sh "$ROOT/.ci/run"; do
		bash -n "$script" || return
	done
}

in_module() { (cd "$ROOT/$1" && shift && as_builder env CGO_ENABLED=0 "$@"); }

find_go
build_tool gofumpt
build_tool golangci-lint
check "bash -n" parse_scripts
check gofumpt unformatted
for module in "${modules[@]}"; do
	check "go mod tidy ($module)" in_module "$module" go mod tidy -diff
	check "go vet ($module)" in_module "$module" go vet ./...
	check "golangci-lint ($module)" in_module "$module" "$PATCHBAY_CACHE_BIN/golangci-lint" run --config "$ROOT/.golangci.yml"
done
exit "$failed"
