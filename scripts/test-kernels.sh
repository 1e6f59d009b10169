#!/usr/bin/env bash
# Run tests of the network on the kernels of Debian releases, each in a virtual machine (qemu, without KVM). Nothing is installed and
# root is not needed: packages are unpacked under .cache, and the machine sees no file of this one but those of its initramfs.
#
#   KERNELS="6.1 6.12"   which kernels, in this order:
#                          5.10, 6.1, 6.12, 6.16 ... 7.3   the newest cloud kernel of that series in Debian
#                          6.12-arm64                      the same for arm64, with the programs and the tests of arm64
#                          6.12-nolegacy                   the same without the modules of iptables-legacy, as NETFILTER_XTABLES_LEGACY=n
#                          6.12-noxtables                  the same without any module of x_tables: iptables-nft has no extension then
#   KERNELS=rotation     one of them, another one each day: the nightly workflow
#   RUN=regexp           only the tests that match
#   BENCH=regexp         also these benchmarks
#   PACKAGES="..."       only these packages, as test/network/vlan
#   CPUS=2 TIMEOUT=60m   of each machine; a package ends after half of that
#
# A run of all tests of a package writes the results to docs/kernels.md, unless CI is set. Tests that cannot run there are in test/kernels/selection.go.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kernels.sh"

rotation=(6.12-arm64 6.12-nolegacy 6.1 7.3 5.10 6.12 6.12-noxtables)
kept=$ROOT/.cache/test
table=$([[ -n ${CI:-}${RUN:-}${BENCH:-} ]] || echo "$ROOT/docs/kernels.md")
failed=0

# packages prints the packages whose tests run: those that need nothing but the kernel and plain tools.
packages() {
	if [[ -n ${PACKAGES:-} ]]; then
		printf '%s\n' $PACKAGES
		return
	fi
	go -C "$ROOT" list ./pkg/link ./pkg/noderoute ./pkg/overlay ./pkg/nft ./pkg/nfnl ./pkg/conntrack ./pkg/firewall | sed 's|.*/patchbay/pkg/|pkg/|'
	go -C "$ROOT/test" list ./network/... ./verbs ./verbs/names ./cli/bridge ./cli/names ./cli/restore ./firewalls ./runtimes/secondary ./faults/crash |
		sed 's|.*/patchbay/test/|test/|'
}

# module_of PACKAGE prints the directory of its module.
module_of() { [[ $1 == test/* ]] && echo test || echo .; }

# architecture_of KERNEL prints the architecture, as Go and Debian name it.
architecture_of() { [[ $1 == *-arm64* ]] && echo arm64 || echo amd64; }

# use ARCH sets the variables of an architecture: where its programs are built, and which qemu runs them.
use() {
	built=$ROOT/.cache/kernels/$1 tests=$ROOT/.cache/kernels/$1/tests programs=() qemu=$PATCHBAY_CACHE_BIN/qemu-x86
	PATCHBAY_BIN=$ROOT/.cache/kernels/$1/patchbay
	[[ $1 == amd64 ]] || programs=(-programs "$ROOT/.cache/pkg/programs-$1") qemu=$PATCHBAY_CACHE_BIN/qemu-$1
}

# build ARCH builds the plugin, the reference plugins and the tests.
build() {
	local pkg
	use "$1"
	say "build the plugin, the reference plugins and the tests for $1"
	as_builder mkdir -p "$tests" "$built/bin"
	export GOARCH=$1
	build_patchbay
	[[ -x $built/bin/bridge ]] || PATCHBAY_CACHE_BIN=$built/bin build_reference
	PATCHBAY_CACHE_BIN=$built/bin build_test kernels
	[[ $1 != amd64 || ! -x $PATCHBAY_CACHE_BIN/multus ]] || as_builder cp "$PATCHBAY_CACHE_BIN/multus" "$built/bin/"
	for pkg in "${packages[@]}"; do
		go_static -C "$ROOT/$(module_of "$pkg")" test -c -trimpath -ldflags "-s -w" -o "$tests/${pkg//\//-}.test" "./${pkg#test/}"
	done
	unset GOARCH
}

# prepare KERNEL... fetches and builds what all of them need.
prepare() {
	local arch
	[[ $(uname -m) == x86_64 ]] || die "the machines run on x86_64"
	find_go
	need_tools ip bridge ping tcpdump strace nft iptables setpriv unshare nsenter
	[[ -x $ROOT/.cache/pkg/qemu-x86/usr/bin/qemu-img || -n $(apt-cache search --names-only '^qemu-system-x86$') ]] || { need_root && as_root apt-get update -qq; }
	unpack_qemu
	build_test kernels
	build_tool gotestsum
	mapfile -t packages < <(packages)
	as_builder mkdir -p "$kept"
	for arch in $(for kernel; do architecture_of "$kernel"; done | sort -u); do
		[[ $arch == amd64 ]] || (unpack_qemu_arm64; sources "$arch"; unpack_programs "$arch")
		build "$arch"
	done
}

# show KERNEL COMMAND... runs it under gotestsum, which takes a benchmark for a test without an end: of those the results are printed.
show() {
	if [[ -n ${BENCH:-} ]]; then
		as_builder "${@:2}" | grep -o 'Benchmark.*ns/op.*'
		return
	fi
	as_builder "$PATCHBAY_CACHE_BIN/gotestsum" --format "${FORMAT:-pkgname}" --jsonfile "$kept/kernel-$1.json" --raw-command -- "${@:2}"
}

# fetch KERNEL unpacks it, and prints the directory; nothing if there is no package of it.
fetch() {
	local arch found series=${1%%-*} name
	arch=$(architecture_of "$1") name=$series
	[[ $arch == amd64 ]] || name=$series-$arch
	sources "$arch"
	mapfile -t found < <(kernel_packages "$series" "$arch")
	[[ ${#found[@]} -gt 0 ]] || return 0
	unpack_kernel "$name" "${found[@]}" || die "${found[*]} cannot be fetched"
	echo "$ROOT/.cache/pkg/kernel-$name"
}

# run_kernel KERNEL boots it and runs the tests.
run_kernel() {
	local dir
	dir=$(fetch "$1")
	if [[ -z $dir ]]; then
		say "Linux $1: Debian has no package of it; left out"
		return
	fi
	use "$(architecture_of "$1")"
	say "Linux $1 ($(ls "$dir/lib/modules")): ${#packages[@]} packages"
	show "$1" "$PATCHBAY_CACHE_BIN/kernels" -name "$1" -qemu "$qemu" -kernel "$dir" -busybox "$busybox" -init "$built/bin/kernels" "${programs[@]}" -tests "$tests" \
		-root "$ROOT" -plugin "$PATCHBAY_BIN" -plugins "$built/bin" -run "${RUN:-}" -bench "${BENCH:-}" -cpus "${CPUS:-2}" -timeout "${TIMEOUT:-60m}" \
		-table "$table" "${packages[@]}" || failed=1
}

read -ra kernels <<<"${KERNELS:-6.1 6.12}"
[[ ${kernels[*]} != rotation ]] || kernels=("${rotation[$(($(date +%s) / 86400 % ${#rotation[@]}))]}")
prepare "${kernels[@]}"
for kernel in "${kernels[@]}"; do
	run_kernel "$kernel"
done
exit "$failed"
