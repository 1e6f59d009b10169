// Command patchbay attaches containers' network namespaces to Linux bridges. With CNI_COMMAND set it is a
// CNI plugin (github.com/containernetworking/cni, SPEC.md, versions 0.1.0 to 1.1.0); with arguments it is a
// command-line program. Installed under the name of a reference plugin it does that plugin's part.
// Package main reads the environment, stdin and arguments, and writes stdout, stderr and exit codes. Package
// attach implements the CNI verbs.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/names"
)

// Set by scripts/build.sh.
var (
	version = "0.1.0-dev"
	commit  = "unknown"
)

func main() {
	// If the runtime has closed stdout, the write fails and the ADD is undone; SIGPIPE would end the process first.
	signal.Ignore(syscall.SIGPIPE)
	switch {
	case os.Getenv("CNI_COMMAND") != "":
		reserveStack(0)
		os.Exit(runCNI(os.Getenv("CNI_COMMAND"), os.Stdin, os.Stdout))
	case len(os.Args) == 1:
		about()
	case isPlugin(program()):
		os.Exit(explainPlugin(program(), os.Args[1:]))
	default:
		os.Exit(runCommand(os.Args[1:]))
	}
}

// about prints two lines for a call without arguments, with the same text as the reference plugins: nerdctl and Nomad
// parse them.
func about() {
	fmt.Fprintln(os.Stderr, names.About(program(), version))
	fmt.Fprintf(os.Stderr, "CNI protocol versions supported: %s\n", strings.Join(cniversion.All.SupportedVersions(), ", "))
	if _, _, terminal := sizeOf(os.Stderr); terminal && !isPlugin(program()) {
		fmt.Fprintln(os.Stderr, "Commands: patchbay help")
	}
}
