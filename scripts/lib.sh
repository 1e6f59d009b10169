# Shared by every script here; source it, do not run it.
#
#   as_builder CMD...   run CMD as the owner of the tree: root builds nothing in a tree of another user
#   as_tester CMD...    the same, but as_root still works inside CMD
#   as_root CMD...      run CMD as root, with only the environment it needs
#   need_tools NAME...  install the plain tools that are missing, after saying so
#   unpack SET PACKAGE...   unpack Debian packages under .cache/pkg/SET, installing nothing
#   unpack_program PROGRAM PACKAGE   the same for one program, with the libraries that this machine lacks
#   run_and_check NAME GO-TEST-ARG...   run tests as root, check the claims, and exit
#   choose_third   say and set which third of the kills and faults runs
#   build_patchbay, build_next, build_reference, build_callers, build_containerd2, build_nerdctl, build_agent, build_k8s, build_lan, build_etcd, build_flannel, build_dist_tools, build_release, build_test NAME, build_tool NAME   put a program in bin/ or .cache/
#
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export PATCHBAY_BIN=$ROOT/bin/patchbay
export PATCHBAY_CACHE_BIN=$ROOT/.cache/bin

# The version is stamped by build_patchbay; go's own stamp fails where git distrusts the owner of the tree.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"
export GOWORK=off
export HOME="${HOME:-$(cd ~ && pwd)}"

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# home_of USER prints USER's home directory.
home_of() { getent passwd "$1" | cut -d: -f6; }

# builder_uid prints the uid that builds: the user behind sudo when the tree is theirs, else our own.
builder_uid() {
	if [[ $EUID -eq 0 && ${SUDO_UID:-0} -ne 0 && $(stat -c %u "$ROOT") -eq $SUDO_UID ]]; then
		echo "$SUDO_UID"
	else
		echo "$EUID"
	fi
}

# find_go puts Go on PATH. sudo drops the user's PATH, and with it the usual places of Go.
find_go() {
	command -v go >/dev/null && return
	local dirs=(/usr/local/go/bin /usr/lib/go/bin /usr/lib/go-*/bin /snap/bin) home
	for home in "$HOME" ${SUDO_USER:+"$(home_of "$SUDO_USER")"}; do
		dirs+=("$home"/go/bin "$home"/.local/go/bin "$home"/sdk/go*/bin)
	done
	local dir
	for dir in "${dirs[@]}"; do
		[[ -x $dir/go ]] && PATH=$dir:$PATH && return
	done
	die "Go is not on PATH and not at its usual places; Patchbay needs Go 1.26 or later: https://go.dev/dl"
}

# drop_to_builder SETPRIV-OPTION... -- CMD... runs CMD as the user behind sudo, in that user's home.
drop_to_builder() {
	local options=()
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	local home
	home=$(home_of "$SUDO_UID")
	env -u XDG_CACHE_HOME -u XDG_CONFIG_HOME HOME="$home" USER="$SUDO_USER" LOGNAME="$SUDO_USER" \
		setpriv --reuid="$SUDO_UID" --regid="$SUDO_GID" --init-groups "${options[@]}" "$@"
}

as_builder() {
	if [[ $(builder_uid) -eq $EUID ]]; then "$@"; else drop_to_builder -- "$@"; fi
}

# as_tester leaves the way back to root open: the two capabilities that changing one's own uid takes.
as_tester() {
	if [[ $(builder_uid) -eq $EUID ]]; then "$@"; return; fi
	local caps=+setuid,+setgid
	PATCHBAY_WAY_BACK=1 drop_to_builder --inh-caps=$caps --ambient-caps=$caps -- "$@"
}

# root_environment prints NAME=VALUE, ended by NUL, for what a program run as root may see of our environment.
root_environment() {
	local name
	printf '%s\0' "PATH=$PATH:/usr/sbin:/sbin" "HOME=$(home_of 0)" USER=root LOGNAME=root
	for name in CI TERM LANG LC_ALL HERE BENCH DEBIAN_FRONTEND http_proxy https_proxy no_proxy "${!PATCHBAY_@}"; do
		[[ -n ${!name:-} && $name != PATCHBAY_WAY_BACK ]] && printf '%s=%s\0' "$name" "${!name}"
	done
	return 0
}

as_root() {
	local environment
	mapfile -d '' -t environment < <(root_environment)
	if [[ $EUID -eq 0 ]]; then
		env -i "${environment[@]}" "$@"
	elif [[ -n ${PATCHBAY_WAY_BACK:-} ]]; then
		setpriv --reuid=0 --regid=0 --clear-groups --inh-caps=-all --ambient-caps=-all env -i "${environment[@]}" "$@"
	else
		sudo -- env -i "${environment[@]}" "$@"
	fi
}

# need_root ends the script early, with a message, if as_root could not work later.
need_root() {
	[[ $EUID -eq 0 ]] && return
	command -v sudo >/dev/null || die "this needs root, and sudo is not installed: run it as root"
	sudo true || die "this needs root, and sudo refused"
}

# package_of TOOL prints the Debian package of a plain tool. Only tools of this list are ever installed; none brings a service.
package_of() {
	case $1 in
		ip | bridge | ss | tc) echo iproute2 ;;
		ping) echo iputils-ping ;;
		arping) echo iputils-arping ;;
		tcpdump) echo tcpdump ;;
		strace) echo strace ;;
		nft) echo nftables ;;
		iptables | ip6tables) echo iptables ;;
		ethtool) echo ethtool ;;
		jq) echo jq ;;
		nsenter | unshare | setpriv | mount) echo util-linux ;;
		sysctl | ps) echo procps ;;
		python3) echo python3 ;;
		zsh) echo zsh ;;
		fish) echo fish ;;
		groff) echo groff-base ;;
		ssh) echo openssh-client ;;
		mke2fs) echo e2fsprogs ;;
		mmdebstrap) echo mmdebstrap ;;
		*) die "no package is known for the tool $1" ;;
	esac
}

# need_tools TOOL... installs the packages of the tools that are missing; with nothing missing it does nothing.
need_tools() {
	local PATH=$PATH:/usr/sbin:/sbin tool package missing=() packages=()
	for tool; do
		command -v "$tool" >/dev/null && continue
		package=$(package_of "$tool") || exit
		missing+=("$tool")
		[[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
	done
	[[ ${#missing[@]} -eq 0 ]] && return
	say "missing: ${missing[*]}; Debian packages: ${packages[*]} (plain tools, no service)"
	command -v apt-get >/dev/null || die "there is no apt-get here: install ${missing[*]} yourself"
	need_root
	confirm "install them with apt-get?" || die "not installed: ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive as_root apt-get update -qq
	DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

# unpack SET PACKAGE... unpacks Debian packages under .cache/pkg/SET; once, until the list changes. Nothing of them is installed,
# so what brings a service starts none. Where they cannot be had it fails: tests that need them skip by name, or fail in CI.
unpack() {
	local dir=$ROOT/.cache/pkg/$1 stamp=$ROOT/.cache/stamp/pkg-$1 deb
	shift
	[[ -f $stamp && $(<"$stamp") == "$*" ]] && return
	if ! command -v apt-get dpkg >/dev/null; then
		say "there is no apt-get here to fetch $* with: tests that need them are skipped, or fail where CI is set"
		return 1
	fi
	say "unpack under .cache, install nothing: $*"
	as_builder rm -rf "$dir"
	as_builder mkdir -p "$dir" "${stamp%/*}"
	if ! (cd "$dir" && download "$@"); then
		say "$* cannot be fetched: tests that need them are skipped, or fail where CI is set"
		return 1
	fi
	for deb in "$dir"/*.deb; do
		as_builder dpkg -x "$deb" "$dir" && as_builder rm "$deb" || return
	done
	as_builder tee "$stamp" <<<"$*" >/dev/null
}

# download PACKAGE... puts the packages into the working directory; apt's lists are fetched where there are none, or old ones.
download() {
	as_builder apt-get download -qq "$@" 2>/dev/null && return
	need_root
	DEBIAN_FRONTEND=noninteractive as_root apt-get update -qq
	as_builder apt-get download -qq "$@" >&2
}

# unpack_containerd unpacks containerd with what it runs, and the busybox that its tests make an image of.
unpack_containerd() { unpack containerd containerd runc libseccomp2 busybox-static || true; }

# unpack_podman unpacks Podman with what it runs. Its tests take the busybox of unpack_containerd.
unpack_podman() {
	unpack podman podman conmon runc golang-github-containers-common golang-github-containers-image libgpgme11 libassuan0 libsubid4 \
		libseccomp2 libdevmapper1.02.1 || true
}

# unpack_lxc unpacks LXC, and the busybox that its template makes containers of.
unpack_lxc() { unpack lxc lxc liblxc1 liblxc-common libseccomp2 libapparmor1 busybox-static || true; }

# unpack_sandboxes unpacks programs that run others in a namespace of ours.
unpack_sandboxes() {
	unpack bubblewrap bubblewrap || true
	unpack nspawn systemd-container libsystemd-shared libseccomp2 || true
}

# unpack_pictures unpacks what reads the pictures of `patchbay show`: dot of Graphviz, Chromium, and Mermaid for it to run. Of Debian's
# packages those are fetched that an installation would add. dot needs a list of its plugins, which their installation would write.
unpack_pictures() {
	local dir=$ROOT/.cache/pkg/pictures packages libraries mermaid=mermaid@12.3.0
	if [[ ! -x $PATCHBAY_CACHE_BIN/chromium || ! -x $PATCHBAY_CACHE_BIN/dot ]]; then
		apt-cache show chromium graphviz >/dev/null 2>&1 || { need_root && as_root apt-get update -qq; }
		mapfile -t packages < <(apt-get install --print-uris -qq -y --no-install-recommends chromium graphviz 2>/dev/null | awk '{ print $2 }' | cut -d_ -f1)
		unpack pictures "${packages[@]:-chromium}" || return 0
		libraries=$(find "$dir/usr/lib" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd :)
		as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
		as_builder tee "$PATCHBAY_CACHE_BIN/chromium" >/dev/null <<-SH
			#!/bin/sh
			LD_LIBRARY_PATH=$libraries:$dir/usr/lib/chromium exec $dir/usr/lib/chromium/chromium "\$@"
		SH
		as_builder tee "$PATCHBAY_CACHE_BIN/dot" >/dev/null <<-SH
			#!/bin/sh
			GVBINDIR=$(find "$dir/usr/lib" -type d -name graphviz | head -1) LD_LIBRARY_PATH=$libraries exec $dir/usr/bin/dot "\$@"
		SH
		as_builder chmod 0755 "$PATCHBAY_CACHE_BIN/chromium" "$PATCHBAY_CACHE_BIN/dot"
		as_builder "$PATCHBAY_CACHE_BIN/dot" -c || return
	fi
	[[ -x $PATCHBAY_CACHE_BIN/mermaid.min.js ]] && return
	if ! (cd "$dir" && as_builder npm pack --silent "$mermaid" >/dev/null); then
		say "$mermaid cannot be fetched: tests that need it are skipped, or fail where CI is set"
		return
	fi
	as_builder tar -xzf "$dir/${mermaid/@/-}.tgz" -C "$dir" package/dist/mermaid.min.js
	as_builder install -m 0755 "$dir/package/dist/mermaid.min.js" "$PATCHBAY_CACHE_BIN/"
}

# unpack_firewalls unpacks the firewalls of common distributions. Docker runs with the containerd of unpack_containerd; without
# a container it needs no runc and no tini. What firewalld's Python modules import comes with them, but for Python itself.
unpack_firewalls() {
	unpack docker docker.io libdevmapper1.02.1 || true
	unpack ufw ufw || true
	unpack firewalld firewalld python3-firewall python3-nftables python3-jsonschema python3-attr python3-pyrsistent python3-dbus \
		python3-gi gir1.2-glib-2.0 gir1.2-nm-1.0 libgirepository-1.0-1 libnm0 libglib2.0-0 dbus-daemon libdbus-1-3 libapparmor1 || true
}

# unpack_qemu unpacks qemu with its firmware and the libraries that this machine lacks, and busybox.
unpack_qemu() {
	local packages=(qemu-system-x86 qemu-system-common qemu-system-data seabios qemu-utils busybox-static) libraries dir=$ROOT/.cache/pkg/qemu-x86
	if [[ ! -x $dir/usr/bin/qemu-img ]]; then
		mapfile -t -O 6 packages < <(libraries_of qemu-system-x86)
		unpack qemu-x86 "${packages[@]}" || die "qemu cannot be fetched"
	fi
	busybox=$(find "$dir" -path '*bin/busybox' | head -1)
	qemu=$PATCHBAY_CACHE_BIN/qemu-x86
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	libraries=$(find "$dir" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd :)
	as_builder tee "$qemu" >/dev/null <<-SH
		#!/bin/sh
		LD_LIBRARY_PATH=$libraries exec $dir/usr/bin/qemu-system-x86_64 -L $dir/usr/share/qemu -L $dir/usr/share/seabios "\$@"
	SH
	as_builder tee "$PATCHBAY_CACHE_BIN/qemu-img" >/dev/null <<-SH
		#!/bin/sh
		LD_LIBRARY_PATH=$libraries exec $dir/usr/bin/qemu-img "\$@"
	SH
	as_builder chmod 0755 "$qemu" "$PATCHBAY_CACHE_BIN/qemu-img"
}

# build_containerd2 builds the containerd of scripts/containerd/go.mod, for which Debian has no package; once, until go.mod or Go
# changes. File systems that need C libraries are left out.
build_containerd2() {
	find_go
	local stamp=$ROOT/.cache/stamp/containerd2 dir=$ROOT/.cache/pkg/containerd2 want
	want=$(go version; sha256sum <"$ROOT/scripts/containerd/go.mod")
	[[ -x $dir/containerd && -f $stamp && $(<"$stamp") == "$want" ]] && return
	say "build containerd 2, once; it takes some minutes"
	as_builder mkdir -p "$dir" "${stamp%/*}"
	go_static -C "$ROOT/scripts/containerd" build -trimpath -tags "no_btrfs no_devmapper no_zfs" -ldflags "-s -w" -o "$dir/" tool
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

# build_k8s PROGRAM... builds programs of scripts/k8s/go.mod; each once, until go.mod or Go changes.
build_k8s() {
	find_go
	local stamp name want
	want=$(go version; sha256sum <"$ROOT/scripts/k8s/go.mod")
	for name; do
		stamp=$ROOT/.cache/stamp/$name
		[[ -x $PATCHBAY_CACHE_BIN/$name && -f $stamp && $(<"$stamp") == "$want" ]] && continue
		say "build $name, once; the first program of Kubernetes takes up to half an hour of CPU time, the others minutes"
		as_builder mkdir -p "$PATCHBAY_CACHE_BIN" "${stamp%/*}"
		go_static -C "$ROOT/scripts/k8s" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/$name" "k8s.io/kubernetes/cmd/$name"
		as_builder tee "$stamp" <<<"$want" >/dev/null
	done
}

# build_cluster_images writes the images of bin/patchbay and bin/patchbay-agent as those of a release are written, in .cache/cluster.
build_cluster_images() {
	local name
	as_builder mkdir -p "$ROOT/.cache/cluster"
	for name in patchbay patchbay-agent; do
		as_builder "$PATCHBAY_CACHE_BIN/image" -name "$name" -version 0.2.0 -revision "$(commit)" -created 1 \
			-out "$ROOT/.cache/cluster/$name-image.tar" "$(go env GOHOSTARCH)=$ROOT/bin/$name"
	done
}

# build_nerdctl builds the nerdctl of scripts/nerdctl/go.mod; once, until go.mod or Go changes.
build_nerdctl() {
	find_go
	local stamp=$ROOT/.cache/stamp/nerdctl dir=$ROOT/.cache/pkg/nerdctl want
	want=$(go version; sha256sum <"$ROOT/scripts/nerdctl/go.mod")
	[[ -x $dir/nerdctl && -f $stamp && $(<"$stamp") == "$want" ]] && return
	say "build nerdctl, once; it takes some minutes"
	as_builder mkdir -p "$dir" "${stamp%/*}"
	go_static -C "$ROOT/scripts/nerdctl" build -trimpath -ldflags "-s -w" -o "$dir/" tool
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

# confirm QUESTION asks on a terminal; in CI and in a pipe the answer is yes.
confirm() {
	[[ -n ${CI:-} || ! -t 0 || ! -t 2 ]] && return
	local answer
	read -r -p "$1 [Y/n] " answer </dev/tty
	[[ -z $answer || $answer == [yY]* ]]
}

# unpack_program PROGRAM PACKAGE puts a program whose package may bring more than it into .cache: nothing is installed. The
# libraries that this machine lacks come with it; .cache/bin/PROGRAM is a script that finds them.
unpack_program() {
	local dir=$ROOT/.cache/pkg/$1 program packages=("$2")
	[[ -x $PATCHBAY_CACHE_BIN/$1 ]] && return
	if command -v apt-cache >/dev/null; then
		apt-cache show "$2" >/dev/null 2>&1 || { need_root && as_root apt-get update -qq; }
		mapfile -t packages < <(echo "$2"; libraries_of "$2")
	fi
	unpack "$1" "${packages[@]}" || return 0
	program=$(find "$dir" -type f -path "*bin/$1" | head -1)
	[[ -n $program ]] || die "the package $2 has no program $1"
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	as_builder tee "$PATCHBAY_CACHE_BIN/$1" >/dev/null <<-SH
		#!/bin/sh
		LD_LIBRARY_PATH=$(find "$dir" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd :) exec $program "\$@"
	SH
	as_builder chmod 0755 "$PATCHBAY_CACHE_BIN/$1"
}

# unpack_rpm unpacks rpm, which tests install the packages of a release with, in a directory.
unpack_rpm() {
	local dir=$ROOT/.cache/pkg/rpm packages
	[[ -x $PATCHBAY_CACHE_BIN/rpm ]] && return
	mapfile -t packages < <(printf '%s\n' rpm rpm-common; libraries_of rpm)
	unpack rpm "${packages[@]}" || return 0
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	as_builder tee "$PATCHBAY_CACHE_BIN/rpm" >/dev/null <<-SH
		#!/bin/sh
		export RPM_CONFIGDIR=$dir/usr/lib/rpm
		LD_LIBRARY_PATH=$(find "$dir" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd :) exec $dir/usr/bin/rpm "\$@"
	SH
	as_builder chmod 0755 "$PATCHBAY_CACHE_BIN/rpm"
}

# libraries_of PACKAGE prints the libraries that it needs and that are not there.
libraries_of() {
	local package
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
		grep '^lib' | sort -u | while read -r package; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "${package%%:*}"
	done
}

# version prints a semantic version: $VERSION, else the last tag as git describes it, else the newest release.
version() {
	local v=${VERSION:-}
	[[ -n $v ]] || v=$(as_builder git -C "$ROOT" describe --tags --match 'v[0-9]*' --dirty 2>/dev/null) || true
	v=${v#v}
	[[ $v =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+].+)?$ ]] || v=0.2.0
	echo "$v"
}

# commit prints the abbreviated commit that is checked out, "unknown" without git. Not by --short: its length depends on the clone.
commit() {
	local hash
	hash=$(as_builder git -C "$ROOT" rev-parse HEAD 2>/dev/null) || hash=unknown
	echo "${hash:0:7}"
}

# go_static ARG... is go with what makes a program static and the same wherever it was built.
go_static() { as_builder env CGO_ENABLED=0 go "$@"; }

# gc_of_verbs prints the GOEXPERIMENT that patchbay is built with: without the garbage collector that is new in Go 1.26. A verb ends
# before the first collection, and the new one marks the end of each span of the heap, which is a page fault of its own: about 30
# in each exec. Go 1.27 is to have no such setting.
gc_of_verbs() { [[ $(go env GOVERSION) != go1.26* ]] || echo nogreenteagc; }

build_patchbay() {
	find_go
	GOEXPERIMENT=$(gc_of_verbs) go_static -C "$ROOT" build -trimpath -ldflags "-s -w -X main.version=$(version) -X main.commit=$(commit)" -o "$PATCHBAY_BIN" ./plugins/patchbay
}

# build_lan builds bin/patchbay-lan, beside patchbay: a module of its own, so that the library of etcd does not enter that of the plugin.
build_lan() {
	find_go
	go_static -C "$ROOT/plugins/patchbay-lan" build -trimpath -ldflags "-s -w -X main.version=$(version) -X main.commit=$(commit)" -o "${PATCHBAY_BIN%/*}/patchbay-lan" .
}

# build_etcd builds the etcd of scripts/etcd/go.mod; once, until go.mod or Go changes.
build_etcd() {
	find_go
	local stamp=$ROOT/.cache/stamp/etcd want
	want=$(go version; sha256sum <"$ROOT/scripts/etcd/go.mod")
	[[ -x $PATCHBAY_CACHE_BIN/etcd && -f $stamp && $(<"$stamp") == "$want" ]] && return
	say "build etcd, once; it takes a minute"
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN" "${stamp%/*}"
	go_static -C "$ROOT/scripts/etcd" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/etcd" go.etcd.io/etcd/server/v3
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

# build_agent builds bin/patchbay-agent, beside patchbay: a module of its own, with the client of the Kubernetes API.
build_agent() {
	find_go
	go_static -C "$ROOT/plugins/patchbay-agent" build -trimpath -ldflags "-s -w -X main.version=$(version)" -o "${PATCHBAY_BIN%/*}/patchbay-agent" .
}

# build_flannel builds flanneld, which test/cluster measures beside patchbay-agent, from its module: without the backends of one cloud, whose module
# the proxy does not have, and udp, which needs C. Once.
build_flannel() {
	find_go
	local version=v0.28.10 dir=$ROOT/.cache/flannel stamp=$ROOT/.cache/stamp/flannel want
	want="$(go version) $version"
	[[ -x $PATCHBAY_CACHE_BIN/flanneld && -f $stamp && $(<"$stamp") == "$want" ]] && return
	say "build flanneld, once; it takes two minutes"
	as_builder rm -rf "$dir"
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN" "${stamp%/*}"
	as_builder cp -R "$(as_builder go mod download -json "github.com/flannel-io/flannel@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')" "$dir"
	as_builder chmod -R u+w "$dir"
	as_builder sed -i '/backend\/\(tencentvpc\|udp\)"/d' "$dir/main.go"
	as_builder rm -rf "$dir/pkg/backend/tencentvpc"
	go_static -C "$dir" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/flanneld" .
	as_builder rm -rf "$dir"
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

# build_next builds a patchbay whose schema of nftables and form of records are one version higher: for tests alone.
build_next() {
	find_go
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	local packages=github.com/patchbay-cni/patchbay/pkg
	go_static -C "$ROOT" build -trimpath -ldflags "-s -w -X main.version=$(version) -X main.commit=$(commit) -X $packages/nft.newer=+ -X $packages/store.newer=+" \
		-o "$PATCHBAY_CACHE_BIN/patchbay-next" ./plugins/patchbay
}

# build_reference builds cnitool and the reference plugins: the tool lines of test/go.mod; and the cnitool of an old caller.
build_reference() {
	find_go
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	go_static -C "$ROOT/test" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/" tool
	go_static -C "$ROOT/test/runtimes/cnitool112" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/cnitool-1.1.2" tool
}

# build_callers builds programs that call plugins as other projects do: the plugin of flannel, and the network providers of BuildKit.
build_callers() {
	find_go
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	go_static -C "$ROOT/test/runtimes/flannel/plugin" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/" tool
	go_static -C "$ROOT/test/runtimes/buildkit/provider" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/buildkit-provider" .
}

# build_cnitool builds the one program of them that the demo needs.
build_cnitool() {
	find_go
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	go_static -C "$ROOT/test" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/cnitool" github.com/containernetworking/cni/cnitool
}

# build_test PATH builds the program test/PATH; its name is the last part.
build_test() {
	find_go
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN"
	go_static -C "$ROOT/test" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/${1##*/}" "./$1"
}

# build_dist_tools builds what scripts/dist.sh runs: the tools of scripts/dist/go.mod, and the program that writes the image; once, until they or Go
# change. The SBOM has the hash of its tool: the same wherever it was built.
build_dist_tools() {
	find_go
	local stamp=$ROOT/.cache/stamp/dist dir=$ROOT/scripts/dist want
	want=$(go version; cat "$dir/go.mod" "$dir"/image/*.go | sha256sum)
	[[ -x $PATCHBAY_CACHE_BIN/image && -f $stamp && $(<"$stamp") == "$want" ]] && return
	say "build nfpm, cyclonedx-gomod and image, once"
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN" "${stamp%/*}"
	go_static -C "$dir" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/" tool ./image
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

# build_release builds a release in .cache/release for the tests that read it, which need no version of their own.
build_release() {
	find_go
	PATCHBAY_GOMODCACHE=$(as_builder go env GOMODCACHE)
	export PATCHBAY_GOMODCACHE
	say "build a release in .cache/release"
	VERSION=0.2.0 DIST=$ROOT/.cache/release "$ROOT/scripts/dist.sh"
}

# choose_third makes the crash and fault tests run a third of their cases, another one each day: all of them take longer than everything else.
# PATCHBAY_FAULTS=all runs all, 0, 1 or 2 that third.
choose_third() {
	export PATCHBAY_FAULTS=${PATCHBAY_FAULTS:-$(($(date +%s) / 86400 % 3))}
	say "kills and faults: PATCHBAY_FAULTS=$PATCHBAY_FAULTS (a third: 0, 1 or 2; or all)"
}

# run_and_check NAME GO-TEST-ARG... runs tests that need a machine or a cluster of their own, as root, keeps their events in .cache/test/NAME.json,
# checks the claims unless RUN is set, and exits. RUN, TIMEOUT and FORMAT are those of the caller.
run_and_check() {
	local events=$ROOT/.cache/test/$1.json failed=0
	build_test repo/claims
	build_tool gotestsum
	as_builder mkdir -p "${events%/*}"
	say "test; the events are kept in ${events#"$ROOT"/}"
	as_tester "$PATCHBAY_CACHE_BIN/gotestsum" --format "${FORMAT:-testname}" --jsonfile "$events" --raw-command -- \
		go -C "$ROOT/test" test -json -count=1 -timeout="${TIMEOUT:-30m}" ${RUN:+-run="$RUN"} -exec "$ROOT/scripts/as-root.sh" "${@:2}" || failed=1
	[[ -n ${RUN:-} ]] || as_builder "$PATCHBAY_CACHE_BIN/claims" "$ROOT" "$events" || failed=1
	exit "$failed"
}

# build_tool NAME builds the tool line of scripts/tools/go.mod that ends in NAME; once, until go.mod or Go changes.
build_tool() {
	find_go
	local stamp=$ROOT/.cache/stamp/$1 want package
	want=$(go version; sha256sum <"$ROOT/scripts/tools/go.mod")
	[[ -x $PATCHBAY_CACHE_BIN/$1 && -f $stamp && $(<"$stamp") == "$want" ]] && return
	package=$(sed -n "s|^[[:space:]]\([^ ]*/$1\)\$|\1|p" "$ROOT/scripts/tools/go.mod")
	say "build $1, once$([[ $1 == golangci-lint ]] && echo '; it takes some minutes')"
	as_builder mkdir -p "$PATCHBAY_CACHE_BIN" "$ROOT/.cache/stamp"
	as_builder go -C "$ROOT/scripts/tools" build -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/$1" "$package"
	as_builder tee "$stamp" <<<"$want" >/dev/null
}
