# Kernels of Debian and what a machine of another architecture needs; scripts/test-kernels.sh sources this after lib.sh. Nothing is installed: packages are
# unpacked under .cache/pkg. The lists of packages are kept under .cache/apt, whatever the machine's own sources are.
#
# shellcheck shell=bash

# sources ARCH lets apt-get and apt-cache see the packages of Debian for an architecture: 11 with Linux 5.10, 12 with 6.1 and 6.12, and the backports of 13
# with the newest. The lists are fetched once a day.
sources() {
	local dir=$ROOT/.cache/apt/$1 mirror=http://deb.debian.org keyring=/usr/share/keyrings/debian-archive-keyring.gpg sign
	export APT_CONFIG=$dir/apt.conf
	[[ -z $(find "$dir/fetched" -mtime -1 2>/dev/null) ]] || return 0
	if [[ ! -f $keyring ]]; then # Ubuntu has it in a package
		(unset APT_CONFIG && unpack keyring debian-archive-keyring) || die "the keys of Debian cannot be fetched"
		keyring=$ROOT/.cache/pkg/keyring$keyring
	fi
	sign="[signed-by=$keyring]"
	as_builder mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	as_builder tee "$dir/sources.list" >/dev/null <<-LIST
		deb $sign $mirror/debian bullseye main
		deb $sign $mirror/debian-security bullseye-security main
		deb $sign $mirror/debian bookworm main
		deb $sign $mirror/debian-security bookworm-security main
		deb $sign $mirror/debian trixie-backports main
	LIST
	as_builder tee "$APT_CONFIG" >/dev/null <<-CONF
		APT::Architecture "$1";
		APT::Architectures { "$1"; };
		APT::Sandbox::User "";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
	CONF
	as_builder touch "$dir/status"
	as_builder apt-get update -qq && as_builder touch "$dir/fetched"
}

# kernel_packages SERIES ARCH prints the packages of the newest cloud kernel of a series; nothing without one. Since 7.1 the package linux-image has no files.
kernel_packages() {
	local image part
	image=$(apt-cache search --names-only "^linux-image-${1//./\\.}\.[0-9].*-cloud-$2\$" | awk '$1 !~ /-unsigned/ { print $1 }' | sort -V | tail -1)
	[[ -n $image ]] || return 0
	if ! apt-cache show "${image/image/binary}" >/dev/null 2>&1; then
		echo "$image"
		return
	fi
	for part in base binary modules; do echo "${image/image/$part}"; done
}

# unpack_kernel NAME PACKAGE... unpacks a kernel to .cache/pkg/kernel-NAME: boot/vmlinuz-RELEASE and lib/modules. The modules that test/kernels takes are not
# compressed afterwards, as busybox loads them.
unpack_kernel() {
	local dir=$ROOT/.cache/pkg/kernel-$1 release
	unpack "kernel-$1" "${@:2}" || return
	if [[ -d $dir/usr/lib/modules ]]; then
		release=$(ls "$dir/usr/lib/modules")
		as_builder mkdir -p "$dir/boot" "$dir/lib"
		as_builder mv "$dir/usr/lib/modules" "$dir/lib/"
		as_builder mv "$dir/lib/modules/$release/vmlinuz" "$dir/boot/vmlinuz-$release"
	fi
	find "$dir" -regextype egrep -regex '.*/kernel/(net|lib|crypto|arch/[a-z0-9]+/crypto|fs/overlayfs|drivers/net)/.*\.ko\.xz' -print0 |
		as_builder xargs -0 -r -n 50 "$busybox" unxz
}

# unpack_qemu_arm64 unpacks the qemu that emulates arm64, for this machine; .cache/bin/qemu-arm64 runs it.
unpack_qemu_arm64() {
	local dir=$ROOT/.cache/pkg/qemu-arm64 packages
	mapfile -t packages < <(printf '%s\n' qemu-system-arm qemu-system-common qemu-system-data; libraries_of qemu-system-arm)
	unpack qemu-arm64 "${packages[@]}" || die "qemu for arm64 cannot be fetched"
	as_builder tee "$PATCHBAY_CACHE_BIN/qemu-arm64" >/dev/null <<-SH
		#!/bin/sh
		LD_LIBRARY_PATH=$(find "$dir" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd :) exec $dir/usr/bin/qemu-system-aarch64 -L $dir/usr/share/qemu "\$@"
	SH
	as_builder chmod 0755 "$PATCHBAY_CACHE_BIN/qemu-arm64"
}

# unpack_programs ARCH unpacks the programs that tests run, of Debian 12 for another architecture, with all that they depend on, to .cache/pkg/programs-ARCH.
unpack_programs() {
	local dir=$ROOT/.cache/pkg/programs-$1 packages name
	mapfile -t packages < <(apt-get install --print-uris -qq -y --no-install-recommends iproute2 nftables iptables iputils-ping iputils-arping tcpdump strace \
		util-linux mount procps ethtool jq findutils dash busybox-static | awk '$2 !~ /perl/ { print $2 }' | cut -d_ -f1 | sort)
	unpack "programs-$1" "${packages[@]:-iproute2}" || die "the programs for $1 cannot be fetched"
	for name in iptables ip6tables; do # what the installation of the package would link by update-alternatives
		as_builder ln -sf "$name-nft" "$dir/usr/sbin/$name"
		as_builder ln -sf "$name-nft-save" "$dir/usr/sbin/$name-save"
		as_builder ln -sf "$name-nft-restore" "$dir/usr/sbin/$name-restore"
	done
}
