#!/usr/bin/env bash
# Build a release in dist/, for amd64 and arm64: the static binaries, tar.gz, .deb, .rpm, a CycloneDX SBOM of each, images for both, also of
# patchbay-agent, the manifests for Kubernetes with their names, SHA256SUMS.
#
#   VERSION=x.y.z         the version; by default that of the tag which is checked out
#   SOURCE_DATE_EPOCH=n   the time of all files, in seconds since 1970; by default that of the commit
#   DIST=directory        where to write
#   ARCHES="amd64"        only these architectures; the image has only them as well
#
# The same commit, version and Go give the same bytes, in whatever directory and environment. After `go mod download` and
# `go -C scripts/dist mod download` and `go -C plugins/patchbay-agent mod download` it needs no network.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

umask 022
export TZ=UTC LC_ALL=C GOTOOLCHAIN=local
unset GOAMD64 GOARM64 GOEXPERIMENT GOFIPS140
out=${DIST:-$ROOT/dist}
work=$ROOT/.cache/dist
read -ra arches <<<"${ARCHES:-amd64 arm64}"

# prepare checks the version, builds the tools, and empties the directories.
prepare() {
	find_go
	version=$(version)
	[[ -z ${VERSION:-} || ${VERSION#v} == "$version" ]] || die "VERSION=$VERSION is no semantic version"
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(as_builder git -C "$ROOT" log -1 --format=%ct)} || die "not a git tree: set SOURCE_DATE_EPOCH"
	export VERSION=$version SOURCE_DATE_EPOCH
	build_dist_tools
	as_builder rm -rf "$out" "$work"
	as_builder mkdir -p "$out" "$work"
}

# build ARCH builds the static binaries.
build() {
	say "build patchbay $version for linux/$1"
	PATCHBAY_BIN=$work/$1/patchbay GOARCH=$1 build_patchbay
	PATCHBAY_BIN=$work/$1/patchbay GOARCH=$1 build_agent
	as_builder cp "$work/$1/patchbay" "$out/patchbay-$version-linux-$1"
}

# pages puts the manual pages and the completions, which the program prints, into DIRECTORY.
pages() {
	local program=$work/$(go env GOHOSTARCH)/patchbay name
	as_builder mkdir -p "$1/man" "$1/completions"
	"$program" help --man | gzip -9n | as_builder tee "$1/man/patchbay.1.gz" >/dev/null
	for name in $("$program" help --man | sed -n 's/^\.BR patchbay\\-\(.*\) (1)$/\1/p' | tr -d '\\'); do
		"$program" help --man "$name" | gzip -9n | as_builder tee "$1/man/patchbay-$name.1.gz" >/dev/null
	done
	"$program" completion bash | as_builder tee "$1/completions/patchbay.bash" >/dev/null
	"$program" completion zsh | as_builder tee "$1/completions/_patchbay" >/dev/null
	"$program" completion fish | as_builder tee "$1/completions/patchbay.fish" >/dev/null
}

# licenses prints the license of each Go module that the program is linked with. That of Go itself is the one of golang.org/x/sys.
licenses() {
	local path modversion dir file
	as_builder go -C "$ROOT" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./plugins/patchbay | sort -u |
		while read -r path modversion dir; do
			for file in "$dir"/LICENSE* "$dir"/COPYING* "$dir"/NOTICE*; do
				[[ ! -f $file ]] || { printf '==== %s %s: %s\n\n' "$path" "$modversion" "${file##*/}"; cat "$file"; echo; }
			done
		done
}

# stage ARCH makes the directory that archive and packages are made of.
stage() {
	local dir=$work/$1 units script
	pages "$dir"
	as_builder mkdir -p "$dir/doc" "$dir/scripts"
	as_builder install -m 0644 "$ROOT/scripts/dist/package/copyright" "$dir/doc/"
	gzip -9nc "$ROOT/CHANGELOG.md" | as_builder tee "$dir/doc/changelog.gz" >/dev/null
	licenses | gzip -9n | as_builder tee "$dir/doc/licenses.gz" >/dev/null
	as_builder cp -R "$ROOT/conf" "$dir/conf"
	as_builder chmod -R u=rwX,go=rX "$dir"
	units=$(cd "$ROOT/conf/systemd" && grep -l '^\[Install\]' -- * | paste -sd ' ')
	for script in postinst prerm postrm; do
		sed "s/^units=''.*/units='$units'/" "$ROOT/scripts/dist/package/$script" | as_builder tee "$dir/scripts/$script" >/dev/null
	done
	as_builder find "$dir" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# archive ARCH writes the tar.gz: its one directory has what a package has, and README and LICENSE.
archive() {
	local name=patchbay-$version-linux-$1 dir
	dir=$work/archive/$name
	as_builder mkdir -p "$dir"
	as_builder cp -R "$work/$1/patchbay" "$work/$1/man" "$work/$1/completions" "$work/$1/conf" "$ROOT/README.md" "$ROOT/LICENSE" "$ROOT/CHANGELOG.md" "$dir/"
	gzip -dc "$work/$1/doc/licenses.gz" | as_builder tee "$dir/LICENSES-of-modules" >/dev/null
	as_builder chmod -R u=rwX,go=rX "$dir"
	as_builder tar -C "$work/archive" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
		gzip -9n | as_builder tee "$out/$name.tar.gz" >/dev/null
}

# packages ARCH writes the .deb and the .rpm.
packages() {
	local format
	for format in deb rpm; do
		(cd "$work/$1" && ARCH=$1 as_builder "$PATCHBAY_CACHE_BIN/nfpm" package -f "$ROOT/scripts/dist/package/nfpm.yaml" -p "$format" -t "$out/") >/dev/null
	done
}

# sbom ARCH writes what the binaries say of the modules that they are linked with, as CycloneDX.
sbom() {
	local program
	for program in patchbay patchbay-agent; do
		as_builder "$PATCHBAY_CACHE_BIN/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "v$version" \
			-output "$out/$program-linux-$1.cdx.json" "$work/$1/$program" 2>/dev/null
	done
}

# images writes the images for all architectures, and the manifests that run them.
images() {
	local arch name programs manifest
	for name in patchbay patchbay-agent; do
		programs=()
		for arch in "${arches[@]}"; do programs+=("$arch=$work/$arch/$name"); done
		as_builder "$PATCHBAY_CACHE_BIN/image" -name "$name" -version "$version" -revision "$(commit)" -created "$SOURCE_DATE_EPOCH" \
			-out "$out/$name-$version-image.tar" "${programs[@]}"
	done
	for manifest in install uninstall agent; do
		sed "s|\(image: ghcr.io/patchbay-cni/patchbay[a-z-]*\):.*|\1:${version//+/_}|" "$ROOT/conf/kubernetes/$manifest.yaml" | as_builder tee "$out/$manifest.yaml" >/dev/null
	done
}

prepare
for arch in "${arches[@]}"; do build "$arch"; done
for arch in "${arches[@]}"; do
	say "pack linux/$arch"
	stage "$arch"
	archive "$arch"
	packages "$arch"
	sbom "$arch"
done
images
(cd "$out" && sha256sum -- * | as_builder tee SHA256SUMS >/dev/null)
as_builder rm -rf "$work"
say "dist: ${out#"$ROOT"/}, patchbay $version"
