#!/usr/bin/env bash
# Draft a release of GitHub from dist/, for the tag that is checked out: the workflow release.yml calls it after `make dist`, with GH_TOKEN. A maintainer
# reads the draft and publishes it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# changes prints the section of a version of CHANGELOG.md.
changes() { awk -v head="## $1" 'index($0, head) == 1 { on = 1; next } /^## / { on = 0 } on' "$ROOT/CHANGELOG.md"; }

# notes prints the text of the release: what changed, and by what its files are checked.
notes() {
	changes "$1"
	echo
	echo "SHA-256 of SHA256SUMS: \`$(sha256sum <"$ROOT/dist/SHA256SUMS" | cut -d ' ' -f 1)\`"
	echo
	echo "Built by ${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID. How to check the files, and how to build the same bytes: docs/releases.md."
}

[[ -f $ROOT/dist/SHA256SUMS ]] || die "dist/ is empty: run make dist"
: "${GITHUB_REPOSITORY:?}" "${GITHUB_RUN_ID:?}"
version=$(version)
[[ -f $ROOT/dist/patchbay_${version/-/\~}_amd64.deb ]] || die "dist/ has another version than $version"
notes "$version" | gh release create "v$version" --draft --verify-tag --title "Patchbay $version" --notes-file - "$ROOT"/dist/*
