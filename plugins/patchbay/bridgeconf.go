package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/netconfig"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// configure makes the files of --persist from the state of the uplink, before anything is changed. With --write an error
// is a file that could not be written.
func (f *bridgeFlags) configure(s *uplink.State) (err error) {
	if f.persist == "" {
		return nil
	}
	f.configuration, f.configurations, err = netconfig.Files(f.persist, described(s))
	if err == nil && f.writes {
		err = netconfig.CheckNew(f.configuration)
	}
	if n := s.PolicyRules(); n > 0 {
		f.configurations = append(f.configurations, fmt.Sprintf("%d policy rules name %s: add them by hand", n, s.Uplink))
	}
	return err
}

// described returns the bridge that has the state of an uplink after a boot. What a DHCP server or a router gives is not written down.
func described(s *uplink.State) *netconfig.Bridge {
	b := &netconfig.Bridge{
		Name: s.Bridge, Port: s.Uplink, MAC: net.HardwareAddr(s.MAC).String(), MTU: s.MTU, AcceptRA: uplink.AcceptsAdvertisements(s.Uplink),
	}
	addresses, routes := s.List()
	for _, a := range addresses {
		switch {
		case !a.Dynamic:
			b.Addresses = append(b.Addresses, a.Prefix)
		case a.Prefix.Addr().Is4():
			b.DHCP4 = true
		case !b.AcceptRA || a.Prefix.IsSingleIP():
			b.DHCP6 = true
		}
	}
	for _, r := range routes {
		if r.Connected || r.FromRouter || r.FromDHCP && b.DHCP4 {
			continue
		}
		b.Routes = append(b.Routes, netconfig.Route{
			To: r.To, Gateway: r.Gateway, Source: r.Source, Metric: r.Metric, Table: r.Table, MTU: r.MTU, OnLink: r.OnLink, Multiple: r.Multiple,
		})
	}
	b.DNS, b.Search = nameServers()
	return b
}

// nameServers returns the name servers of the host and its search domains; behind the stub of systemd-resolved those that it asks.
func nameServers() (servers []netip.Addr, search []string) {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		r, err := cli.ReadResolver(path)
		if err != nil {
			continue
		}
		for _, server := range r.Usable() {
			if addr, err := netip.ParseAddr(server); err == nil {
				servers = append(servers, addr)
			}
		}
		for _, line := range r.Other {
			if words := strings.Fields(line); words[0] == "search" || words[0] == "domain" {
				search = words[1:]
			}
		}
		if len(servers) > 0 {
			break
		}
	}
	return servers, search
}

// saveConfiguration writes the files with --write, and prints them otherwise.
func (f *bridgeFlags) saveConfiguration(out io.Writer) error {
	if !f.writes {
		f.printConfiguration(out)
		return nil
	}
	if err := netconfig.Write(f.configuration); err != nil {
		return fmt.Errorf("%s is kept until the next boot, its configuration is not written: %w", f.Bridge, err)
	}
	for _, file := range f.configuration {
		sayLine(out, "created %s", file.Path)
	}
	f.printNotes()
	return nil
}

// printConfiguration prints the files, each with its path before it.
func (f *bridgeFlags) printConfiguration(out io.Writer) {
	for _, file := range f.configuration {
		fmt.Fprintln(out)
		sayLine(out, "# %s, mode %04o", file.Path, file.Mode)
		fmt.Fprint(out, file.Content) // of names that are plain, and of numbers
	}
	f.printNotes()
}

func (f *bridgeFlags) printNotes() {
	for _, note := range f.configurations {
		complain("note: %s", note)
	}
}

// resolverNote returns the command that gives a bridge the name servers which systemd-resolved has for its uplink; "" if it has none.
// They belong to the interface, and systemd-resolved does not ask those of a bridge port.
func resolverNote(index int, name, bridge string) string {
	servers := map[string][]string{}
	for _, dir := range []string{"/run/systemd/resolve/netif", "/run/systemd/netif/links"} { // set by a client, or by systemd-networkd
		text, err := safefile.Read(filepath.Join(dir, strconv.Itoa(index)), safefile.Rules{FollowLinks: true, AnyOwner: true})
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			key = map[string]string{"SERVERS": "dns", "DNS": "dns", "DOMAINS": "domain"}[key]
			if words := strings.Fields(value); len(words) > 0 && key != "" && servers[key] == nil {
				servers[key] = words
			}
		}
	}
	var commands []string
	for _, key := range []string{"dns", "domain"} {
		if len(servers[key]) == 0 {
			continue
		}
		words := []string{"resolvectl", key, bridge}
		for _, word := range servers[key] {
			words = append(words, printable.Name(word))
		}
		commands = append(commands, printable.Command(words...))
	}
	if commands == nil {
		return ""
	}
	return fmt.Sprintf("systemd-resolved has name servers of %s, which it does not ask on a bridge port: %s", name, strings.Join(commands, " && "))
}

// persisted adds to an error about a bridge that Create did not create the files of --persist from which a program of the host has created it
// at boot: that program would create it again.
func persisted(bridge string, err error) error {
	k, failed := uplink.Open()
	if failed != nil {
		return err
	}
	defer k.Close()
	ports, failed := k.Ports(bridge, "")
	if failed != nil {
		return err
	}
	for _, port := range ports {
		if paths := netconfig.Written(bridge, port); len(paths) > 0 {
			return fmt.Errorf("bridge %s was created at boot from the files of bridge create --persist; remove them and reboot: %s", printable.Name(bridge),
				printable.Command(append([]string{"rm"}, paths...)...))
		}
	}
	return err
}
