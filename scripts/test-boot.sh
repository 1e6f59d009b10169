#!/usr/bin/env bash
# Run the tests of test/boot: on Debian 12 with systemd and its stock kernel, booted in virtual machines (qemu, without KVM).
# The image of the root file system is built once under .cache/vm, until the list of its packages, the kernel or this script changes. The .deb that
# test/boot/packages installs are those of the tree; it upgrades from older ones, which are built once from the history.
#
#   RUN=regexp     only the tests that match
#   TIMEOUT=30m    of all tests
set -euo pipefail
. "$(dirname "$0")/lib.sh"

vm=$ROOT/.cache/vm

# What the image has. No service of these is enabled; a test enables what it needs.
packages=(
	systemd systemd-sysv systemd-resolved libnss-resolve udev dbus kmod procps iproute2 iputils-ping ethtool conntrack strace busybox-static libteam-utils
	openssh-server network-manager ifupdown bridge-utils netplan.io dnsmasq-base
	nftables iptables firewalld ufw keepalived docker.io containerd runc containernetworking-plugins lxc
)

# Units that no test needs, and that take time where the CPU is emulated.
masked=(
	getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service systemd-binfmt.service systemd-update-utmp.service
	systemd-update-utmp-runlevel.service systemd-journal-flush.service systemd-firstboot.service systemd-random-seed.service
	modprobe@drm.service modprobe@dm_mod.service modprobe@loop.service modprobe@configfs.service modprobe@fuse.service
	dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer systemd-tmpfiles-clean.timer
)

# What test/boot/packages upgrades from: the oldest commit whose packages have the units of today, and 0.2.0, for which there was no package:
# its program was copied by hand.
older_package=f356d87bed0e4974d4a67218372ebc298cdc7f96
older_program=224da480b02eb0ca4df76f65057919b83eb1901e

# clone COMMIT DIRECTORY clones the repository, with the tools that build a release.
clone() {
	as_builder rm -rf "$2"
	as_builder git clone --quiet --no-checkout --shared "$ROOT" "$2"
	as_builder git -C "$2" checkout --quiet "$1" || die "$1 is not in the history of this clone: git fetch --unshallow"
	as_builder mkdir -p "$2/.cache/bin" "$2/.cache/stamp"
	as_builder cp "$PATCHBAY_CACHE_BIN"/{nfpm,cyclonedx-gomod,image} "$2/.cache/bin/"
	as_builder cp "$ROOT/.cache/stamp/dist" "$2/.cache/stamp/"
}

# build_packages puts the .deb of the tree and, built once, the older ones into .cache/packages.
build_packages() {
	local dir=$ROOT/.cache/packages stamp=$ROOT/.cache/stamp/packages want from=$ROOT/.cache/older
	build_dist_tools
	as_builder mkdir -p "$dir"
	want="$(go version) $older_package $older_program"
	if [[ ! -f $stamp || $(<"$stamp") != "$want" ]]; then
		say "build the older package and program that test/boot/packages upgrades from, once"
		clone "$older_program" "$from"
		VERSION=0.2.0 as_builder "$from/scripts/build.sh"
		as_builder cp "$from/bin/patchbay" "$dir/patchbay-0.2.0"
		clone "$older_package" "$from"
		VERSION=0.3.0-alpha.1 DIST=$from/dist as_builder "$from/scripts/dist.sh"
		as_builder cp "$from"/dist/patchbay_*_amd64.deb "$dir/older.deb"
		as_builder rm -rf "$from"
		as_builder tee "$stamp" <<<"$want" >/dev/null
	fi
	VERSION=0.3.0 ARCHES=amd64 DIST=$dir/release "$ROOT/scripts/dist.sh"
	as_builder cp "$dir"/release/patchbay_*_amd64.deb "$dir/newer.deb"
	as_builder cp "$dir"/release/patchbay-lan_*_amd64.deb "$dir/lan.deb"
}

# kernel_of_debian prints the kernel that Debian 12 installs in a cloud.
kernel_of_debian() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2 }'; }

# make_root DIRECTORY KERNEL makes the root file system.
make_root() {
	local root=$1 omit=() unit
	for unit in doc man locale info; do omit+=(--dpkgopt="path-exclude=/usr/share/$unit/*"); done
	as_root mmdebstrap --quiet --mode=root --variant=minbase --dpkgopt=force-unsafe-io "${omit[@]}" \
		--setup-hook='mkdir -p "$1/etc/systemd/system-preset" && echo "disable *" >"$1/etc/systemd/system-preset/00-none.preset"' \
		--include="$(IFS=,; echo "${packages[*]}")" bookworm "$root" >&2
	as_root mkdir -p "$root/lib/modules"
	as_root cp -a "$2"/lib/modules/* "$root/lib/modules/"
	as_root chroot "$root" depmod "$(ls "$2/lib/modules")"
	as_root chroot "$root" modprobe --set-version "$(ls "$2/lib/modules")" --show-depends --all virtio_pci virtio_blk virtio_console virtio_net |
		awk '$1 == "insmod" && !had[$2]++ { print $2 }' | as_builder tee "$vm/modules" >/dev/null
	for unit in "${masked[@]}"; do as_root ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
	as_root find "$root/etc/systemd/system" -path '*.wants/*' -delete
	# Settings of the host stay as Debian has them, but for a name, an empty machine ID (systemd makes one), and logs that do not fill the disk.
	as_root sh -euc 'cd "$1" && echo vm >etc/hostname && : >etc/machine-id && printf "127.0.0.1 localhost\n127.0.1.1 vm\n::1 localhost\n" >etc/hosts
		rm -f etc/resolv.conf etc/network/interfaces.d/* && printf "nameserver 192.0.2.1\n" >etc/resolv.conf
		mkdir -p etc/systemd/journald.conf.d && printf "[Journal]\nStorage=volatile\n" >etc/systemd/journald.conf.d/vm.conf' sh "$root"
}

# build_image builds the disk, and puts kernel, modules and busybox beside it.
build_image() {
	local kernel dir stamp=$ROOT/.cache/stamp/vm want root=$vm/root
	[[ -n $(kernel_of_debian) ]] || { need_root && as_root apt-get update -qq; }
	kernel=$(kernel_of_debian)
	[[ -n $kernel ]] || die "apt knows no package linux-image-cloud-amd64"
	want=$(sha256sum <<<"$kernel ${packages[*]} ${masked[*]} $(declare -f make_root)")
	[[ -s $vm/disk && -f $stamp && $(<"$stamp") == "$want" ]] && return
	need_tools mmdebstrap mke2fs
	unpack kernel-boot "$kernel" || die "$kernel cannot be fetched"
	dir=$ROOT/.cache/pkg/kernel-boot
	say "build the image of Debian 12 with $kernel, once; it takes about two minutes"
	as_root rm -rf "$vm"
	as_builder mkdir -p "$vm" "${stamp%/*}"
	make_root "$root" "$dir"
	as_root mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$root" "$vm/disk.new" 3G
	as_root rm -rf "$root"
	as_root chown "$(builder_uid)" "$vm/disk.new"
	as_builder cp "$dir"/boot/vmlinuz-* "$vm/vmlinuz"
	(cd "$dir" && sed 's|^/||' "$vm/modules" | as_builder xargs cp -t "$vm")
	as_builder cp "$busybox" "$vm/busybox"
	as_builder mv "$vm/disk.new" "$vm/disk"
	as_builder tee "$stamp" <<<"$want" >/dev/null
}

[[ $(uname -m) == x86_64 ]] || die "the machines are those of x86_64"
find_go
need_root
need_tools ip ping ssh
unpack_qemu
unpack_program dnsmasq dnsmasq-base
build_image
build_patchbay
build_packages
build_etcd
build_lan
build_test kit/vm/vmguest
build_test boot/packages/guest
run_and_check boot -p=1 ./boot/...
