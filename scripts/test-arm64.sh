#!/usr/bin/env bash
# Build for arm64, and run the tests of the packages that need no kernel interface by qemu-user: it does not translate netlink and nftables.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=(./pkg/cluster ./pkg/config ./pkg/ipam ./pkg/identity ./pkg/printable ./pkg/safefile)

find_go
export CGO_ENABLED=0 GOARCH=arm64
say "build and vet for arm64"
as_builder go -C "$ROOT" build ./...
as_builder go -C "$ROOT" vet ./...
as_builder go -C "$ROOT/test" vet ./...
run=()
if [[ $(uname -m) != aarch64 ]]; then
	unpack_program qemu-aarch64 qemu-user
	run=(-exec "$PATCHBAY_CACHE_BIN/qemu-aarch64")
fi
as_builder go -C "$ROOT" test -count=1 "${run[@]}" "${packages[@]}"
