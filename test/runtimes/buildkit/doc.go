// Package buildkit tests the drop-in with the network providers of BuildKit v0.31.2, as buildkitd uses them for the
// containers of build steps: the provider bridge, whose list has the names buildkit-cni-bridge and so on, and the
// provider cni, which reads a configuration. They run in the program of folder provider, which scripts/lib.sh builds.
// The rest of buildkitd is not run: it needs images.
package buildkit
