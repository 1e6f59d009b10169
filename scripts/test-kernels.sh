#!/usr/bin/env bash
# Run tests of the network on the kernels of Debian releases, each in a virtual machine (qemu, without KVM). Nothing is installed and
# root is not needed: packages are unpacked under .cache, and the machine sees no file of this one but those of its initramfs.
#
#   KERNELS="6.1 6.12"   which kernels; 5.10 comes from Debian's bullseye
#   RUN=regexp           only the tests that match
#   BENCH=regexp         also these benchmarks
#   PACKAGES="..."       only these packages, as test/network/vlan
#   CPUS=2 TIMEOUT=60m   of each machine
#
# A run of all tests of a package writes the results to docs/kernels.md, unless CI is set. Tests that cannot run there are in test/kernels/selection.go.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

kept=$ROOT/.cache/test
table=$([[ -n ${CI:-}${RUN:-}${BENCH:-} ]] || echo "$ROOT/docs/kernels.md")
tests=$ROOT/.cache/kernels
failed=0

# packages prints the packages whose tests run: those that need nothing but the kernel and plain tools.
packages() {
	if [[ -n ${PACKAGES:-} ]]; then
		printf '%s\n' $PACKAGES
		return
	fi
	go -C "$ROOT" list -f '{{if .TestGoFiles}}{{.ImportPath}}{{end}}{{if .XTestGoFiles}}{{.ImportPath}}{{end}}' ./pkg/link ./pkg/nft ./pkg/conntrack | sort -u | sed 's|.*/patchbay/pkg/|pkg/|'
	go -C "$ROOT/test" list ./network/... ./verbs ./runtimes/secondary ./faults/crash | sed 's|.*/patchbay/test/|test/|'
}

# module_of PACKAGE prints the directory of its module.
module_of() { [[ $1 == test/* ]] && echo test || echo .; }

# bullseye lets apt-get and apt-cache see the packages of Debian 11, whatever the machine's own sources are, from lists under .cache.
bullseye() {
	local dir=$ROOT/.cache/apt
	export APT_CONFIG=$dir/apt.conf
	[[ -s $APT_CONFIG ]] && return
	as_builder mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	as_builder tee "$dir/sources.list" >/dev/null <<<"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main"
	as_builder tee "$APT_CONFIG" >/dev/null <<-CONF
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State::lists "$dir/lists";
		Dir::Cache "$dir/cache";
	CONF
	as_builder apt-get update -qq
}

prepare() {
	local pkg
	[[ $(uname -m) == x86_64 ]] || die "the kernels are those of x86_64"
	find_go
	need_tools ip bridge ping tcpdump strace nft iptables setpriv unshare nsenter
	[[ -n $(kernel_package 6.1) ]] || { need_root && as_root apt-get update -qq; }
	unpack_qemu
	say "build the plugin, the reference plugins, and the tests"
	build_patchbay
	[[ -x $PATCHBAY_CACHE_BIN/bridge ]] || build_reference
	build_test kernels
	build_tool gotestsum
	mapfile -t packages < <(packages)
	as_builder mkdir -p "$tests" "$kept"
	for pkg in "${packages[@]}"; do
		go_static -C "$ROOT/$(module_of "$pkg")" test -c -trimpath -ldflags "-s -w" -o "$tests/${pkg##*/}.test" "./${pkg#test/}"
	done
}

# show VERSION COMMAND... runs it under gotestsum, which takes a benchmark for a test without an end: of those the results are printed.
show() {
	if [[ -n ${BENCH:-} ]]; then
		as_builder "${@:2}" | grep -o 'Benchmark.*ns/op.*'
		return
	fi
	as_builder "$PATCHBAY_CACHE_BIN/gotestsum" --format "${FORMAT:-pkgname}" --jsonfile "$kept/kernel-$1.json" --raw-command -- "${@:2}"
}

# run_kernel VERSION boots it and runs the tests.
run_kernel() {
	local package
	unset APT_CONFIG
	[[ $1 != 5.10 ]] || bullseye
	package=$(kernel_package "$1")
	if [[ -z $package ]]; then
		say "Linux $1: apt knows no package of it; left out"
		return
	fi
	unpack_kernel "$1" "$package" || die "$package cannot be fetched"
	say "Linux $1 ($package): ${#packages[@]} packages"
	show "$1" "$PATCHBAY_CACHE_BIN/kernels" -qemu "$qemu" -kernel "$ROOT/.cache/pkg/kernel-$1" -busybox "$busybox" -tests "$tests" -root "$ROOT" \
		-plugin "$PATCHBAY_BIN" -programs "$PATCHBAY_CACHE_BIN" -run "${RUN:-}" -bench "${BENCH:-}" -cpus "${CPUS:-2}" -timeout "${TIMEOUT:-60m}" -table "$table" "${packages[@]}" || failed=1
}

prepare
for version in ${KERNELS:-6.1 6.12}; do
	run_kernel "$version"
done
exit "$failed"
