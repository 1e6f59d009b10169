// Command patchbay patches containers' network namespaces into Linux bridges. It is two
// programs in one: with CNI_COMMAND set it is a CNI plugin (github.com/containernetworking/cni,
// SPEC.md, versions 0.1.0 to 1.1.0), with arguments a command for people.
// Package main is the door: it owns environment, stdin, stdout, signals and exit codes. It
// never does a verb's work itself; package attach does.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	cniversion "github.com/containernetworking/cni/pkg/version"
)

// version is set by the build (scripts/build.sh).
var version = "0.1.0-dev"

func main() {
	// A runtime that went away is a write that fails (and an ADD that is undone), not death.
	signal.Ignore(syscall.SIGPIPE)
	switch {
	case os.Getenv("CNI_COMMAND") != "":
		os.Exit(runCNI(os.Getenv("CNI_COMMAND"), os.Stdin, os.Stdout))
	case len(os.Args) == 1:
		about()
	default:
		os.Exit(runCommand(os.Args[1:]))
	}
}

// about prints the two lines that programs read from a plugin called without anything, in
// the words of the reference plugins (nerdctl parses them).
func about() {
	fmt.Fprintf(os.Stderr, "CNI patchbay plugin %s\n", version)
	fmt.Fprintf(os.Stderr, "CNI protocol versions supported: %s\n", strings.Join(cniversion.All.SupportedVersions(), ", "))
}
