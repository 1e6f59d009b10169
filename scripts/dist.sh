#!/usr/bin/env bash
# Build a release in dist/, for amd64 and arm64: of patchbay and patchbay-lan the static binaries, tar.gz, .deb, .rpm and a CycloneDX SBOM of each, images of
# patchbay and patchbay-agent for both, the manifests for Kubernetes with their names, SHA256SUMS.
#
#   VERSION=x.y.z         the version; by default that of the tag which is checked out
#   SOURCE_DATE_EPOCH=n   the time of all files, in seconds since 1970; by default that of the commit
#   DIST=directory        where to write
#   ARCHES="amd64"        only these architectures; the image has only them as well
#
# The same commit, version and Go give the same bytes, in whatever directory and environment. After `go mod download`, and `go -C DIRECTORY mod download`
# in scripts/dist, plugins/patchbay-agent and plugins/patchbay-lan, it needs no network.
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
	local program
	say "build patchbay $version for linux/$1"
	PATCHBAY_BIN=$work/$1/patchbay GOARCH=$1 build_patchbay
	PATCHBAY_BIN=$work/$1/patchbay GOARCH=$1 build_agent
	PATCHBAY_BIN=$work/$1/patchbay GOARCH=$1 build_lan
	for program in patchbay patchbay-lan; do as_builder cp "$work/$1/$program" "$out/$program-$version-linux-$1"; done
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

# licenses MODULE PACKAGE prints the license of each Go module that a program is linked with. That of Go itself is the one of golang.org/x/sys.
licenses() {
	local path modversion dir file
	as_builder go -C "$ROOT/$1" list -deps -f '{{with .Module}}{{if not (or .Main .Replace)}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' "$2" | sort -u |
		while read -r path modversion dir; do
			for file in "$dir"/LICENSE* "$dir"/COPYING* "$dir"/NOTICE*; do
				[[ ! -f $file ]] || { printf '==== %s %s: %s\n\n' "$path" "$modversion" "${file##*/}"; cat "$file"; echo; }
			done
		done
}

# documents DIRECTORY MODULE PACKAGE makes the directory doc of a package: copyright, changes, licenses of the modules.
documents() {
	as_builder mkdir -p "$1/doc"
	as_builder install -m 0644 "$ROOT/scripts/dist/package/copyright" "$1/doc/"
	gzip -9nc "$ROOT/CHANGELOG.md" | as_builder tee "$1/doc/changelog.gz" >/dev/null
	licenses "$2" "$3" | gzip -9n | as_builder tee "$1/doc/licenses.gz" >/dev/null
}

# finish DIRECTORY gives all files of a directory that packages are made of their modes and their time.
finish() {
	as_builder chmod -R u=rwX,go=rX "$1"
	as_builder find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# stage ARCH makes the directory that archive and packages of patchbay are made of.
stage() {
	local dir=$work/$1/pack/patchbay units script
	pages "$dir"
	documents "$dir" . ./plugins/patchbay
	as_builder mkdir -p "$dir/scripts"
	as_builder cp "$work/$1/patchbay" "$dir/"
	as_builder cp -R "$ROOT/conf" "$dir/conf"
	units=$(cd "$ROOT/conf/systemd" && grep -l '^\[Install\]' -- * | paste -sd ' ')
	for script in postinst prerm postrm; do
		sed "s/^units=''.*/units='$units'/" "$ROOT/scripts/dist/package/$script" | as_builder tee "$dir/scripts/$script" >/dev/null
	done
	finish "$dir"
}

# stage_lan ARCH does the same for patchbay-lan.
stage_lan() {
	local dir=$work/$1/pack/patchbay-lan
	documents "$dir" plugins/patchbay-lan .
	as_builder mkdir -p "$dir/conf" "$dir/scripts"
	as_builder cp "$work/$1/patchbay-lan" "$dir/"
	as_builder cp -R "$ROOT/conf/patchbay-lan" "$dir/conf/"
	as_builder cp "$ROOT"/scripts/dist/package/lan/{postinst,prerm,postrm} "$dir/scripts/"
	finish "$dir"
}

# archive ARCH PROGRAM writes the tar.gz: its one directory has what a package has, and README and LICENSE.
archive() {
	local name=$2-$version-linux-$1 from=$work/$1/pack/$2 dir part
	dir=$work/archive/$name
	as_builder mkdir -p "$dir"
	for part in "$2" man completions conf; do [[ ! -e $from/$part ]] || as_builder cp -R "$from/$part" "$dir/"; done
	as_builder cp "$ROOT/README.md" "$ROOT/LICENSE" "$ROOT/CHANGELOG.md" "$dir/"
	gzip -dc "$from/doc/licenses.gz" | as_builder tee "$dir/LICENSES-of-modules" >/dev/null
	as_builder chmod -R u=rwX,go=rX "$dir"
	as_builder tar -C "$work/archive" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
		gzip -9n | as_builder tee "$out/$name.tar.gz" >/dev/null
}

# packages ARCH PROGRAM CONFIGURATION writes the .deb and the .rpm.
packages() {
	local format
	for format in deb rpm; do
		(cd "$work/$1/pack/$2" && ARCH=$1 as_builder "$PATCHBAY_CACHE_BIN/nfpm" package -f "$ROOT/scripts/dist/package/$3" -p "$format" -t "$out/") >/dev/null
	done
}

# sbom ARCH writes what the binaries say of the modules that they are linked with, as CycloneDX.
sbom() {
	local program
	for program in patchbay patchbay-agent patchbay-lan; do
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
	stage_lan "$arch"
	for program in patchbay patchbay-lan; do archive "$arch" "$program"; done
	packages "$arch" patchbay nfpm.yaml
	packages "$arch" patchbay-lan lan/nfpm.yaml
	sbom "$arch"
done
images
(cd "$out" && sha256sum -- * | as_builder tee SHA256SUMS >/dev/null)
as_builder rm -rf "$work"
say "dist: ${out#"$ROOT"/}, patchbay $version"
