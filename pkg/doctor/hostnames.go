package doctor

import (
	"fmt"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// hostNames reports hosts files that are not what the attachments say, and names that no hosts file can have.
func (x *examination) hostNames() (found []Finding, err error) {
	all, err := x.inventory.Attachments("")
	if err != nil {
		return nil, err
	}
	stale, warnings := hostnames.Check(all)
	for _, path := range stale {
		if filepath.Base(path) == "resolv.conf" {
			continue // dns reports it
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("hosts file %s is not up to date: names may be missing, or lead to other addresses", path),
			Seen: "it differs from what the attachments say",
			Fix:  []string{printable.Command("patchbay", "reload")},
		})
	}
	for _, w := range warnings {
		if w.Key == (hostnames.Key{}) {
			found = append(found, Finding{Says: "a hosts file may lack names", Seen: w.Text, Fix: []string{"# " + w.Fix, printable.Command("patchbay", "reload")}})
		}
	}
	return alike(found), nil
}

// nameNotes returns the names that no hosts file has.
func (x *examination) nameNotes() []string {
	all, err := x.inventory.Attachments("")
	if err != nil {
		return nil // the check reports it
	}
	var notes []string
	_, warnings := hostnames.Check(all)
	for _, w := range warnings {
		if w.Key != (hostnames.Key{}) {
			notes = append(notes, printable.Text(w.Text, maxLine))
		}
	}
	return notes
}
