// Package names lists the reference plugins that this program replaces if it is installed under their names.
//
//	p, ok := names.Of("buildkit-cni-bridge") // the plugin bridge
//	for _, file := range names.Files() { ... } // what `patchbay install --drop-in` writes
//	names.About("firewall", "0.1.0")         // "CNI firewall plugin v1.9.1+patchbay.0.1.0"
//
// It only compares texts: it opens no file and imports no other package. A runtime finds a plugin by the key "type" of its
// configuration, as a file name in CNI_PATH (CNI SPEC.md section 2), so the name under which this program was started says
// which plugin the caller wants.
package names

import "strings"

// Kind says how a plugin is called.
type Kind int

// Kinds of plugins (CNI SPEC.md sections 3 and 4).
const (
	Main     Kind = iota + 1 // creates the container interface
	IPAM                     // called by a main plugin, for addresses
	Chained                  // called with the result of the plugin before it, to which it adds something
	Loopback                 // sets up lo
)

// Plugin is a reference plugin that this program replaces.
type Plugin struct {
	Name string // as the reference plugin calls itself: "bridge"
	Kind Kind
}

// Reference is the version of the reference plugins whose keys and behaviour this program follows. Callers compare the first
// version in the line that a plugin prints without CNI_COMMAND: Nomad wants a bridge of 0.4.0 and calls CHECK from 1.3.0,
// nerdctl wants a firewall of 1.7.1 for the policy isolated.
const Reference = "v1.9.1"

// BuildKitPrefix precedes the names of the plugins for BuildKit, which looks for buildkit-cni-bridge before bridge.
const BuildKitPrefix = "buildkit-cni-"

// Names of the plugins.
const (
	Bridge      = "bridge"
	HostLocal   = "host-local"
	Static      = "static"
	LoopbackLo  = "loopback"
	Portmap     = "portmap"
	Firewall    = "firewall"
	Bandwidth   = "bandwidth"
	Tuning      = "tuning"
	SourceRoute = "sbr"
)

// Plugins returns the plugins, in the order in which lists usually have them.
func Plugins() []Plugin {
	return []Plugin{
		{LoopbackLo, Loopback},
		{Bridge, Main},
		{HostLocal, IPAM},
		{Static, IPAM},
		{Portmap, Chained},
		{Firewall, Chained},
		{Tuning, Chained},
		{Bandwidth, Chained},
		{SourceRoute, Chained},
	}
}

// Files returns the file names under which a drop-in installation has this program: each plugin's, and the same for BuildKit.
func Files() []string {
	var all []string
	for _, p := range Plugins() {
		all = append(all, p.Name, BuildKitPrefix+p.Name)
	}
	return all
}

// Of returns the plugin of a file name; false for any other name, such as patchbay.
func Of(file string) (Plugin, bool) {
	name := strings.TrimPrefix(file, BuildKitPrefix)
	for _, p := range Plugins() {
		if p.Name == name {
			return p, true
		}
	}
	return Plugin{}, false
}

// Is reports whether a file name is that of one plugin, also with the prefix for BuildKit.
func Is(file, plugin string) bool {
	p, known := Of(file)
	return known && p.Name == plugin
}

// About returns the first line that the program prints without CNI_COMMAND, in the form of the reference plugins: version is
// that of Patchbay. After the "+" it is semantic versioning's build metadata, which no comparison counts.
func About(file, version string) string {
	p, known := Of(file)
	if !known {
		return "CNI patchbay plugin " + version
	}
	return "CNI " + p.Name + " plugin " + Reference + "+patchbay." + strings.ReplaceAll(version, "+", ".")
}
