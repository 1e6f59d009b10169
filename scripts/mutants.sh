#!/usr/bin/env bash
# Break the code as each patch of test/repo/mutants says, in a copy of the tree, and run the test that the patch names: it must go
# red, by an assertion, each of RUNS=3 times. MUTANTS=glob takes only the patches whose names match.
# First test/repo/mutants/main.go checks that each patch applies and names an existing test. A patch that does not build, and a test that does
# not run or does not end, is an error too.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

patches=$ROOT/test/repo/mutants
work=$ROOT/.cache/mutants
failed=0

# field NAME PATCH prints a line of the head of a patch.
field() { sed -n "/^--- /q; s/^$1: //p" "$patches/$2.patch"; }

# copy_tree makes ROOT a fresh copy of the tree, without what git ignores.
copy_tree() {
	local from=$ROOT
	as_builder rm -rf "$work"
	as_builder mkdir -p "$work/tree"
	as_builder git -C "$from" ls-files -z --cached --others --exclude-standard |
		(cd "$from" && as_builder tar -c --null --ignore-failed-read -T -) | as_builder tar -x -C "$work/tree"
	ROOT=$work/tree
	PATCHBAY_BIN=$ROOT/bin/patchbay
}

# apply ARG... PATCH; the copy is no repository, and git must not look for one above it.
apply() { (cd "$ROOT" && as_builder env GIT_CEILING_DIRECTORIES="$work" git apply "${@:1:$#-1}" "$patches/${!#}.patch"); }

# build DIRECTORY builds the binary, and the tests of one package.
build() {
	local module=$ROOT package=./$1
	if [[ $1 == test/* ]]; then module=$ROOT/test package=./${1#test/}; fi
	if [[ $1 == test/lan/* ]]; then module=$ROOT/test/lan package=./${1#test/lan/}; fi
	[[ $1 != test/faults/@(versions|chaos) ]] || build_next || return
	[[ $1 != test/cluster ]] || build_agent || return
	build_patchbay && go_static -C "$module" test -c -o "$work/${1//\//-}.test" "$package"
}

# logged LOG CMD... keeps what a command says; root leaves no file in a tree of another user.
logged() { "${@:2}" 2>&1 | as_builder tee "$1" >/dev/null; }

# run DIRECTORY PATTERN TIMES runs tests of a package.
run() { (cd "$ROOT/$1" && as_root "$work/${1//\//-}.test" -test.run "$2" -test.count "$3" -test.timeout 5m -test.v); }

# exact TEST is the pattern of one test, TestX or TestX/subtest.
exact() { sed 's|/|$/^|g; s|.*|^&$|' <<<"$1"; }

# count LOG GREP-ARG... counts lines.
count() { grep -c "${@:2}" "$1" || true; }

# all_green runs every named test on the code as it is.
all_green() {
	local directory test names log
	for directory in "${!named[@]}"; do
		names=${named[$directory]# } log=$work/green-${directory//\//-}.log
		say "as it is: $directory"
		build "$directory" || die "$directory does not build"
		names=$(tr ' ' '\n' <<<"$names" | sort -u)
		logged "$log" run "$directory" "^($(sed 's|/.*||' <<<"$names" | sort -u | paste -sd '|'))\$" 1 || die "not green as it is: $log"
		for test in $names; do
			[[ $(count "$log" -Fx "=== RUN   $test") -eq 1 ]] || die "$directory has no test $test: $log"
			grep -q -- "^--- PASS: ${test%%/*} " "$log" || die "$test does not pass as it is: $log"
		done
	done
}

# verdict DIRECTORY TEST LOG prints red, GREEN, or what went wrong; the log is that of $runs runs.
verdict() {
	local ran red
	logged "$3" run "$1" "$(exact "$2")" "$runs" || true
	ran=$(count "$3" -Fx "=== RUN   $2") red=$(count "$3" "^--- FAIL: ${2%%/*} ")
	if grep -q '^panic: ' "$3"; then
		echo "ERROR: it panics, or does not end"
	elif [[ $ran -ne $runs ]]; then
		echo "ERROR: it ran $ran times"
	elif [[ $red -eq 0 ]]; then
		echo GREEN
	elif [[ $red -lt $runs ]]; then
		echo "ERROR: red $red of $runs times"
	else
		echo red
	fi
}

# try PATCH prints its row of the table.
try() {
	local directory test log=$work/$1.log result
	read -r directory test <<<"$(field Red "$1")"
	if ! logged "$log" apply "$1"; then
		result="ERROR: it does not apply"
	else
		result="ERROR: it does not build"
		if logged "$log" build "$directory"; then result=$(verdict "$directory" "$test" "$log"); fi
		apply -R "$1"
	fi
	[[ $result == red ]] || failed=1
	printf '%-40s %-65s %s\n' "$1" "$directory $test" "$result"
}

find_go
need_root
need_tools ip strace setpriv nft nsenter
# The patchbay-next of a mutant must not be used later; `make test` builds it again each time.
trap 'as_builder rm -f "$PATCHBAY_CACHE_BIN/patchbay-next"' EXIT
runs=${RUNS:-3}
build_test repo/mutants
paths=("$patches"/${MUTANTS:-*}.patch)
[[ -f ${paths[0]} ]] || die "there is no patch ${paths[0]}"
as_builder "$PATCHBAY_CACHE_BIN/mutants" "$ROOT" "${paths[@]}" || die "repair these patches first"
build_reference
copy_tree
declare -A named=()
all=()
for path in "${paths[@]}"; do
	patch=$(basename "$path" .patch)
	read -r directory test <<<"$(field Red "$patch")"
	all+=("$patch")
	named[$directory]+=" $test"
done
all_green
say "${#all[@]} mutants, each test $runs times; the logs are in .cache/mutants"
for patch in "${all[@]}"; do try "$patch"; done
exit "$failed"
