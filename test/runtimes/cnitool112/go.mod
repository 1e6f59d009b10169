module github.com/patchbay-cni/patchbay/test/runtimes/cnitool112

go 1.26.0

// The program of an old caller, in a module of its own because a module has one version of another:
// scripts/lib.sh builds it into .cache/bin as cnitool-1.1.2.
tool github.com/containernetworking/cni/cnitool

require github.com/containernetworking/cni v1.1.2 // indirect
