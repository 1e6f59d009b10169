package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// pluginDir is the directory of IPAM plugins if CNI_PATH is not set.
const pluginDir = "/opt/cni/bin"

// ParseIPs parses the value of --ip: comma-separated addresses, with or without a prefix length.
func ParseIPs(text string) ([]netip.Addr, error) {
	if text == "" {
		return nil, nil
	}
	var ips []netip.Addr
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		addr, err := netip.ParseAddr(word)
		if prefix, failed := netip.ParsePrefix(word); failed == nil {
			addr, err = prefix.Addr(), nil
		}
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("--ip: %q is not an IP address", word)
		}
		ips = append(ips, addr)
	}
	return ips, nil
}

// Request returns the request that attaches a target to a network, or with any network detaches it.
func (s Selection) Request(n *Network, t *Target, ifName string) attach.Request {
	req := attach.Request{
		ContainerID: t.ID(), Netns: t.Path, IfName: ifName, Config: n.Config,
		Owner: store.OwnerCLI, Path: cmp.Or(os.Getenv("CNI_PATH"), pluginDir), Program: config.TypeName,
	}
	if len(s.IPs) > 0 {
		var words []string
		for _, addr := range s.IPs {
			words = append(words, addr.String())
		}
		req.Args = "IP=" + strings.Join(words, ",")
	}
	return req
}

// Removal returns the request that deletes an attachment. A DEL needs little of the network's configuration,
// which is read from dir; if the file was deleted, the record has that. A delegated IPAM plugin gets all of it.
func Removal(a *inventory.Attachment, dir string) attach.Request {
	conf := map[string]json.RawMessage{}
	if n, err := Find(dir, a.Network); err == nil {
		_ = json.Unmarshal(n.Config, &conf) // our own encoding
	}
	put := func(key string, value any) { conf[key], _ = json.Marshal(value) }
	put("cniVersion", "1.1.0")
	put("name", a.Network)
	put("type", config.TypeName)
	if a.StateDir != "" {
		put("stateDir", a.StateDir)
	}
	if _, set := conf["ipam"]; !set && a.Record != nil && a.Record.IPAMType != "" {
		put("ipam", map[string]string{"type": a.Record.IPAMType})
	}
	text, _ := json.Marshal(conf)
	t := &Target{Path: a.Netns}
	req := Selection{}.Request(&Network{Config: text}, t, a.IfName)
	req.ContainerID = a.ContainerID
	return req
}
