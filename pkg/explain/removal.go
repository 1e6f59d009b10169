package explain

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The names of the steps of DEL, which its log has too.
const (
	stepUnplug  = "unplug"
	stepRelease = "release"
)

// OfRemoval returns the steps of the DEL of an attachment. What it has in files has no command, and is named.
func OfRemoval(r *store.Record) ([]Step, error) {
	if r.Role != store.RolePort {
		return nil, fmt.Errorf("%s: interface %w, which explain does not know", r.Key(), ErrOtherPlugin)
	}
	names := []string{r.IfName, r.Bridge, r.HostLink}
	if r.Tap != nil {
		names = append(names, r.Tap.Name, NetnsAt(r.Netns).Word)
	}
	for _, name := range names {
		if !printable.IsPlain(name) {
			return nil, fmt.Errorf("%w: %q is no plain name", ErrUnprintable, printable.Text(name, 0))
		}
	}
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	unplug, err := removeLinks(host, r)
	if err != nil {
		return nil, err
	}
	withdraw, err := withdraw(r)
	if err != nil {
		return nil, err
	}
	first, then := withdraw, unplug
	if r.Egress != nil { // without its rules the container could reach everything
		first, then = unplug, withdraw
	}
	steps := []Step{{Name: stepUnplug, Commands: append(first, then...)}, {Name: stepRelease, Commands: release(r)}}
	return steps, nil
}

// removeLinks deletes the host interface and what else the host has for the attachment.
func removeLinks(host *link.Host, r *store.Record) (all []Command, err error) {
	if r.Tap != nil {
		all = append(all, Command{Why: "the tap; a virtual machine that has it open loses its network", Argv: []string{"ip", "-n", NetnsAt(r.Netns).Word, "link", "del", "dev", r.Tap.Name}})
	}
	l, err := liveness.New(host).HostInterface(r)
	switch {
	case err == nil:
		all = append(all, Command{Why: "the host interface, and with it the container interface", Argv: []string{"ip", "link", "del", "dev", l.Name}})
	case !errors.Is(err, link.ErrNotFound):
		return nil, err
	}
	if r.Bandwidth != nil && r.Bandwidth.Device != "" {
		all = append(all, Command{Why: "the device that limits what the container sends", Argv: []string{"ip", "link", "del", "dev", r.Bandwidth.Device}})
	}
	for _, addr := range r.HostRoutes {
		words := link.HostRouteWords(r.RoutedBy(), addr)
		for i, word := range words {
			if word == "replace" {
				words[i] = "del"
			}
		}
		all = append(all, Command{Why: "the route of the host to the container", Argv: append([]string{"ip"}, words...)})
	}
	return all, nil
}

// withdraw removes the elements of the attachment. The tables, and the elements of its bridge, stay.
func withdraw(r *store.Record) (all []Command, err error) {
	text, err := ruleset.WithdrawScript(r)
	if text != "" {
		all = append(all, Command{Why: "the elements of the attachment; DEL removes them while it deletes the interface", Argv: []string{"nft", "-f", "-"}, Stdin: text})
	}
	if ruleset.HasDatagramPorts(r) {
		all = append(all, Command{Why: "DEL also ends the flows to the UDP and SCTP ports; no command for that"})
	}
	return all, err
}

func release(r *store.Record) (all []Command) {
	var addresses []string
	for _, a := range r.Addresses {
		addresses = append(addresses, a.Address.String())
	}
	switch {
	case len(addresses) == 0:
	case r.IPAMType != "":
		all = append(all, Command{Why: "the IPAM plugin " + r.IPAMType + " releases " + strings.Join(addresses, " ") + "; no command for that"})
	default:
		all = append(all, Command{Why: "the files of the addresses " + strings.Join(addresses, " ") + " are deleted; no command for that"})
	}
	return append(all, Command{Why: "the record is deleted as last; no command for that"})
}

// OfNetnsRemoval returns the step that deletes a named network namespace; files are those that `patchbay up` wrote for it.
func OfNetnsRemoval(name string, files []string) Step {
	s := Step{Name: stepNetns, Commands: []Command{{Why: "patchbay up created the namespace", Argv: []string{"ip", "netns", "del", name}}}}
	if len(files) > 0 {
		s.Commands = append(s.Commands,
			Command{Why: "and wrote these files for it", Argv: append([]string{"rm"}, files...)},
			Command{Why: "the directory of such files, if it is empty", Argv: []string{"rmdir", "--ignore-fail-on-non-empty", filepath.Dir(files[0])}})
	}
	return s
}

// OfNames returns the step that writes hosts files.
func OfNames(where string) Step {
	return Step{Name: "names", Commands: []Command{{Why: "its name is written to " + where + "; no command for that"}}}
}

// OfNamesRemoval returns the step that removes a name from hosts files.
func OfNamesRemoval() Step {
	return Step{Name: "names", Commands: []Command{{Why: "its name is removed from the hosts files of namespaces that then share no network with it; its own file is deleted with its last attachment; no command for that"}}}
}

// OfResolver returns the step that writes the name servers of a namespace.
func OfResolver(path, text string) Step {
	return Step{Name: "resolver", Commands: []Command{
		{Why: "the host's own name server cannot be reached from the namespace", Argv: []string{"mkdir", "-p", filepath.Dir(path)}},
		{Why: "ip netns exec uses this file instead", Argv: []string{"tee", path}, Stdin: text},
	}}
}
