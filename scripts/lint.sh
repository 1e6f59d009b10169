#!/usr/bin/env bash
# Check form: gofumpt, go vet, golangci-lint (.golangci.yml), go mod tidy, commit subjects, known vulnerabilities, and that every script parses.
# GOVULNDB names another vulnerability database (https://... or file://...); one that was named must answer.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
unchecked=
modules=(. test plugins/patchbay-lan test/lan plugins/patchbay-agent)

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

# The rule on commit subjects applies after this commit; COMMITS_SINCE names another one.
rule=224da48

# commit_subjects fails for a commit whose subject is longer than 72 characters.
commit_subjects() {
	local base=${COMMITS_SINCE:-$rule} long
	git_here() { as_builder git -C "$ROOT" "$@"; }
	git_here cat-file -e "$base^{commit}" 2>/dev/null || base=$rule
	if ! git_here cat-file -e "$base^{commit}" 2>/dev/null; then
		say "lint: commit subjects NOT CHECKED: the history does not reach back to $base"
		return
	fi
	long=$(git_here log --no-merges --format='%h %s' "$base..HEAD" | awk 'length($0) - length($1) - 1 > 72')
	[[ -z $long ]] && return
	printf 'longer than 72 characters:\n%s\n' "$long" >&2
	return 1
}

# vulnerabilities MODULE fails for a known vulnerability that our code reaches. Where the database does not answer nothing is
# known: that is said at the end, as the last thing, and fails only if GOVULNDB named the database.
vulnerabilities() {
	local out code=0
	out=$(in_module "$1" "$PATCHBAY_CACHE_BIN/govulncheck" -db "${GOVULNDB:-https://vuln.go.dev}" ./... 2>&1) || code=$?
	[[ $code -eq 0 ]] && return
	printf '%s\n' "$out" >&2
	[[ $out == "govulncheck: fetching vulnerabilities: "* && -z ${GOVULNDB:-} ]] || return 1
	unchecked=1
}

in_module() { (cd "$ROOT/$1" && shift && as_builder env CGO_ENABLED=0 "$@"); }

find_go
build_tool gofumpt
build_tool golangci-lint
build_tool govulncheck
check "bash -n" parse_scripts
check gofumpt unformatted
check "commit subjects" commit_subjects
for module in "${modules[@]}"; do
	check "go mod tidy ($module)" in_module "$module" go mod tidy -diff
	check "go vet ($module)" in_module "$module" go vet ./...
	check "golangci-lint ($module)" in_module "$module" "$PATCHBAY_CACHE_BIN/golangci-lint" run --config "$ROOT/.golangci.yml"
	check "govulncheck ($module)" vulnerabilities "$module"
done
[[ -z $unchecked ]] || say "lint: NOT CHECKED for known vulnerabilities: the database https://vuln.go.dev does not answer from here"
exit "$failed"
