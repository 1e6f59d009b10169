package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/names"
)

// program returns the file name under which this program was started.
func program() string { return filepath.Base(os.Args[0]) }

// isPlugin reports whether the program was started under the name of a reference plugin.
func isPlugin(file string) bool {
	_, known := names.Of(file)
	return known
}

// explainPlugin answers a person who starts a plugin with arguments, and returns the exit code. Plugins have no arguments;
// the reference plugins ignore them and print their version, which scripts rely on.
func explainPlugin(file string, args []string) int {
	if !slices.ContainsFunc(args, func(arg string) bool {
		return slices.Contains([]string{"-h", "-help", "--help", "help"}, arg)
	}) {
		about()
		return 0
	}
	fmt.Fprintf(os.Stdout, `%s

This is patchbay, installed as the CNI plugin %s. A container runtime starts it with
CNI_COMMAND and a network configuration whose "type" is %q; it has no options.

%s
The commands of patchbay are under its own name: patchbay help
`, names.About(file, version), file, file, partOf(file))
	return 0
}

// partOf describes what a plugin does, for help.
func partOf(file string) string {
	p, _ := names.Of(file)
	return map[string]string{
		names.Bridge:      "It attaches a container to a Linux bridge: veth pair, addresses, routes, masquerading.\nKeys: docs/configuration.md.\n",
		names.HostLocal:   "It assigns addresses of configured ranges, for any main plugin (\"ipam\": {\"type\": \"host-local\"}).\nKeys: docs/ipam.md.\n",
		names.Static:      "It returns configured addresses, for any main plugin (\"ipam\": {\"type\": \"static\"}).\nKeys: docs/drop-in.md.\n",
		names.LoopbackLo:  "It sets up the interface lo of a container.\n",
		names.Portmap:     "It publishes ports of the host (the capability portMappings), in nftables.\nKeys: docs/drop-in.md.\n",
		names.Firewall:    "It applies ingressPolicy, in nftables.\nKeys: docs/drop-in.md.\n",
		names.Tuning:      "It sets sysctls and properties of the container interface.\nKeys: docs/drop-in.md.\n",
		names.Bandwidth:   "It limits the rate of a container's traffic.\nKeys: docs/drop-in.md.\n",
		names.SourceRoute: "It adds routing rules by the source address of a container.\nKeys: docs/drop-in.md.\n",
	}[p.Name]
}
