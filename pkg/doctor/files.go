package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// maxAlike is the greatest number of findings of one kind.
const maxAlike = 10

// alike returns at most maxAlike findings of one kind; the last one says how many more there are.
func alike(found []Finding) []Finding {
	if len(found) <= maxAlike {
		return found
	}
	rest := found[maxAlike]
	rest.Says = fmt.Sprintf("%s (and %d more)", rest.Says, len(found)-maxAlike-1)
	return append(found[:maxAlike], rest)
}

// records reports attachments without a record, and records that cannot be read: no other check sees these.
func (x *examination) records() (found []Finding, err error) {
	all, err := x.inventory.Attachments("")
	owners := map[store.Key]string{} // by the aliases of their interfaces
	for _, a := range all {
		owners[a.Key()] = a.Owner
		if a.State == inventory.StateNoRecord {
			found = append(found, unrecorded(a))
		}
	}
	entries, failed := x.inventory.Records()
	for _, e := range entries {
		if e.Err != nil {
			found = append(found, unreadable(e.Entry, owners[e.Key]))
		}
	}
	if err == nil {
		err = failed
	}
	return alike(found), err
}

func unrecorded(a inventory.Attachment) Finding {
	return Finding{
		Says: fmt.Sprintf("the record of %s on network %s (%s) is missing: its rules and ports are not checked, and its addresses may be allocated again", a.Name, a.Network, a.IfName),
		Seen: fmt.Sprintf("interface %s has the alias of that attachment, which has no record", a.HostLink),
		Fix:  detach(a.Key(), a.Owner),
	}
}

// detach returns how to remove an attachment without a readable record. Its owner is "" if no interface has its alias;
// `patchbay detach` refuses attachments of a runtime and of LXC.
func detach(key store.Key, owner string) []string {
	switch owner {
	case store.OwnerCNI, store.OwnerLXC:
		return endOf(&store.Record{Owner: owner})
	}
	return []string{
		"# delete the container with its runtime, or detach it; both work without the record:",
		printable.Command(slices.Concat([]string{"patchbay", "detach"}, targetArgs(key))...),
	}
}

func unreadable(e store.Entry, owner string) Finding {
	f := Finding{
		Says: fmt.Sprintf("the record of %s on network %s (%s) cannot be read: its rules, ports and addresses are not checked, and stay in use",
			e.Key.ContainerID, e.Key.Network, e.Key.IfName),
		Seen: fmt.Sprintf("%s: %v", e.Path, e.Err),
		Fix:  detach(e.Key, owner),
	}
	if errors.Is(e.Err, store.ErrNewer) {
		f.Fix = []string{"# install the newer version of patchbay that wrote it"}
	}
	return f
}

// portsOf returns the published ports of a record: "port 80/tcp", "ports 80/tcp, 8000-8009/udp".
func portsOf(r *store.Record) string {
	var words []string
	for _, p := range r.Publish.Ports {
		word := fmt.Sprintf("%d/%s", p.HostPort, p.Protocol)
		if n := p.Len(); n > 1 {
			word = fmt.Sprintf("%d-%d/%s", p.HostPort, int(p.HostPort)+n-1, p.Protocol)
		}
		if len(words) == 0 || words[len(words)-1] != word { // once for both families
			words = append(words, word)
		}
	}
	if len(words) == 1 {
		return "port " + words[0]
	}
	return "ports " + strings.Join(words, ", ")
}

// networkFiles reports configuration files that runtimes and commands cannot use.
func (x *examination) networkFiles() (found []Finding, err error) {
	if x.confDir == "" {
		return nil, nil
	}
	bad, shared, err := cli.CheckNetworks(x.confDir)
	for _, s := range shared {
		x.remarks = append(x.remarks, fmt.Sprintf("networks %s have the same segment %s: their containers reach each other, and neither may be isolated; give each network a bridge or a VLAN of its own, unless this is intended", strings.Join(s.Names, " and "), s.Segment))
	}
	for _, b := range bad {
		f := Finding{
			Says: fmt.Sprintf("%s cannot be read: its network cannot be used, and a runtime may refuse the whole directory", b.Path),
			Seen: oneLine(b.Err),
			Fix:  []string{"# fix it, or move it out of " + x.confDir},
		}
		var mistake *config.Error
		var misspelt *cli.Misspelt
		var notReady *cli.NotReady
		switch {
		case errors.As(b.Err, &misspelt):
			f.Says = fmt.Sprintf("network %s has the key %s, which is not known: every ADD ignores it", b.Name, misspelt.Key)
			f.Seen = b.Path
			f.Fix = []string{"# did you mean " + misspelt.Near + "?"}
		case errors.As(b.Err, &notReady):
			f = waiting(b, notReady.File)
		case errors.As(b.Err, &mistake):
			f.Says = fmt.Sprintf("network %s is invalid: every ADD fails", b.Name)
			f.Seen = fmt.Sprintf("%s: %s", b.Path, mistake.Msg)
			f.Fix = []string{"# " + mistake.Details}
		case b.Name != "":
			f.Says = fmt.Sprintf("two files configure network %s: runtimes and commands may use either", b.Name)
			f.Seen = fmt.Sprintf("%s: %v", b.Path, b.Err)
			f.Fix = []string{"# rename one of the networks, or move its file out of " + x.confDir}
		}
		found = append(found, f)
	}
	more, failed := x.sharedNetworks()
	return append(alike(found), alike(more)...), errors.Join(err, failed)
}

// waiting reports a network whose ready file does not exist.
func waiting(b cli.Misconfigured, file string) Finding {
	f := Finding{
		Says: fmt.Sprintf("network %s is not ready: every ADD fails until the program that sets up the network of this host creates %s", b.Name, file),
		Seen: fmt.Sprintf("%s has the key readyFile, and that file does not exist", b.Path),
		Fix:  []string{"# start that program, or read its log"},
	}
	if filepath.Dir(file) == filepath.Dir(agentstatus.Path) {
		f.Says = fmt.Sprintf("network %s is not ready: every ADD fails until patchbay-agent has written the routes to other nodes, for the first time since the boot", b.Name)
		f.Fix = agentLog()
	}
	return f
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
