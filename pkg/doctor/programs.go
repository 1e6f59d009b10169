package doctor

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/install"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// programs reports names of the drop-in that do not lead to this program any more, for example after an upgrade of
// the package of the reference plugins: runtimes then attach containers with that package's plugin.
func (x *examination) programs() (found []Finding, err error) {
	if x.binDir == "" {
		return nil, nil
	}
	lost, err := install.Check(x.binDir)
	for _, l := range lost {
		says, seen := "another file has replaced %s: runtimes run that one instead of patchbay", "the file differs from the one that install wrote, by SHA-256"
		if !l.Replaced {
			says, seen = "%s was deleted: runtimes that call it fail, or run a plugin of that name from another directory", "install wrote it, and it does not exist"
		}
		found = append(found, Finding{
			Says: fmt.Sprintf(says, l.Path), Seen: seen,
			Fix: []string{
				"# replace it again; a file that is there is kept, and restored by patchbay uninstall:",
				printable.Command("patchbay", "install", "--bin-dir", x.binDir),
			},
		})
	}
	return alike(found), err
}
