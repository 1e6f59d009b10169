package install

import "github.com/patchbay-cni/patchbay/pkg/names"

// Default directories.
const (
	DefaultBinDir  = "/opt/cni/bin"
	DefaultConfDir = "/etc/cni/net.d"
)

// Names of programs: that of this one, and that of the plugin without which most runtimes attach no container.
const (
	ownName      = "patchbay"
	loopbackName = "loopback"
)

// dropInNames returns the names of the reference plugins, and the names under which
// BuildKit looks for them first.
func dropInNames() (plain, buildKit []string) {
	for _, p := range names.Plugins() {
		plain = append(plain, p.Name)
		buildKit = append(buildKit, names.BuildKitPrefix+p.Name)
	}
	return plain, buildKit
}

// Options says what Install and Uninstall do.
type Options struct {
	BinDir   string // absolute
	DropIn   bool   // also under the names of the reference plugins, and of those BuildKit's that exist
	BuildKit bool   // with DropIn: also under all names that BuildKit looks for
	Loopback bool   // also as loopback, unless another program has installed one
	Conf     string // file of a network configuration to install; "" for none
	ConfDir  string // where it is installed; absolute
	DryRun   bool   // return what would be done, and change nothing
	Version  string // of this program
}
