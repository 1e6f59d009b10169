package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const stateDir = "/run/patchbay"

// key identifies an attachment.
type key struct{ Network, ID, IfName string }

func (k key) String() string { return k.Network + "/" + k.ID + "/" + k.IfName }

// state is what host, containers and state files show of the attachments.
type state struct {
	Links   map[key]string            // the bridge of the host interface
	Ends    map[string][]string       // "container ID/interface", and its addresses as "10.1.0.2/24"
	Records map[key][]string          // the addresses that the record has
	Files   map[string]map[string]key // per network: the addresses that have a file, and their owners
	Rules   map[key][]string          // the addresses that the ruleset masquerades
	Limits  map[key]string            // "ifb" if there is an ifb device for it
	Ports   map[key][]string          // its published ports as "192.0.2.10 tcp 8001 10.1.0.2"; "any" for the wildcard address
}

func newState() state {
	return state{Links: map[key]string{}, Ends: map[string][]string{}, Records: map[key][]string{}, Files: map[string]map[string]key{}, Rules: map[key][]string{}, Limits: map[key]string{}, Ports: map[key][]string{}}
}

// add adds an attachment with links, addresses, record and address files.
func (s state) add(k key, bridge string, addresses []string) {
	s.Links[k] = bridge
	s.Ends[k.ID+"/"+k.IfName] = sorted(addresses)
	s.remember(k, addresses)
}

// remember adds record and address files of an attachment that has nothing in the kernel.
func (s state) remember(k key, addresses []string) {
	s.Records[k] = sorted(addresses)
	for _, a := range addresses {
		if s.Files[k.Network] == nil {
			s.Files[k.Network] = map[string]key{}
		}
		address, _, _ := strings.Cut(a, "/")
		s.Files[k.Network][address] = k
	}
}

func sorted(texts []string) []string {
	out := append([]string{}, texts...)
	slices.Sort(out)
	return out
}

// readState reads the state of a host and its containers.
func readState(t *testing.T, h *nettest.Node, containers []*nettest.Container) state {
	t.Helper()
	s := newState()
	s.readLinks(t, h)
	s.readRules(t, h)
	for _, c := range containers {
		s.readContainer(t, c)
	}
	h.Do(func() {
		for _, path := range glob(t, stateDir+"/*/*@*.json*") {
			s.readRecord(t, path)
		}
		for _, path := range glob(t, stateDir+"/ipam/*/*") {
			s.readAddress(t, path)
		}
	})
	return s
}

func (s state) readLinks(t *testing.T, h *nettest.Node) {
	t.Helper()
	links := linksOf(t, h.Netns)
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	for _, l := range links {
		ifb := l.Type() == "ifb"
		if !strings.HasPrefix(l.Attrs().Name, "veth") && !ifb {
			continue // not created by Patchbay
		}
		_, text, _ := strings.Cut(l.Attrs().Alias, " ")
		parts := strings.Split(text, "/")
		if len(parts) == 3 && ifb {
			s.Limits[key{parts[0], parts[1], parts[2]}] = "ifb"
			continue
		}
		if len(parts) == 3 {
			s.Links[key{parts[0], parts[1], parts[2]}] = names[l.Attrs().MasterIndex]
			continue
		}
		s.Links[key{IfName: l.Attrs().Name}] = "a veth with the alias " + l.Attrs().Alias
	}
}

// readRules reads from nft which addresses are masqueraded, for which attachments.
func (s state) readRules(t *testing.T, h *nettest.Node) {
	t.Helper()
	text := h.Run(t, "nft", "list", "ruleset")
	s.readPorts(text)
	element := regexp.MustCompile(`"\S+" \. (\S+) comment "patchbay:\S+ (\S+)/(\S+)/(\S+)" : jump masq_`)
	for _, m := range element.FindAllStringSubmatch(text, -1) {
		k := key{m[2], m[3], m[4]}
		s.Rules[k] = sorted(append(s.Rules[k], m[1]))
	}
}

// readPorts reads the published ports from the output of nft.
func (s state) readPorts(text string) {
	port := regexp.MustCompile(`(?:(\S+) \. )?(tcp|udp) \. (\d+) comment "patchbay:\S+ (\S+)/(\S+)/(\S+)" : (\S+) \. 80\b`)
	for _, m := range port.FindAllStringSubmatch(text, -1) {
		k, at := key{m[4], m[5], m[6]}, m[1]
		if at == "" {
			at = "any"
		}
		s.Ports[k] = sorted(append(s.Ports[k], strings.Join([]string{at, m[2], m[3], m[7]}, " ")))
	}
}

// publish adds a host port of an attachment, for TCP and UDP. An empty hostIP is the wildcard.
func (s state) publish(k key, port int, hostIP string, addresses []string) {
	if hostIP == "" {
		hostIP = "any"
	}
	for _, a := range addresses {
		for _, protocol := range []string{"tcp", "udp"} {
			s.Ports[k] = sorted(append(s.Ports[k], fmt.Sprintf("%s %s %d %s", hostIP, protocol, port, a)))
		}
	}
}

// linksOf lists links, and again when the kernel reports that the dump was interrupted: a namespace may still be in deletion.
func linksOf(t *testing.T, n *nettest.Netns) []netlink.Link {
	t.Helper()
	for {
		links, err := n.Netlink().LinkList()
		if err == nil {
			return links
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			t.Fatal(err)
		}
	}
}

func (s state) readContainer(t *testing.T, c *nettest.Container) {
	t.Helper()
	for _, l := range linksOf(t, c.Netns) {
		if name := l.Attrs().Name; name != "lo" {
			addresses := []string{}
			for _, a := range c.Addresses(name) {
				addresses = append(addresses, a.String())
			}
			s.Ends[c.ID()+"/"+name] = sorted(addresses)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func (s state) readRecord(t *testing.T, path string) {
	t.Helper()
	var r struct {
		Network, ContainerID, IfName string
		Addresses                    []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal(read(t, path), &r); err != nil {
		t.Errorf("record %s: %v", path, err)
	}
	addresses := []string{}
	for _, a := range r.Addresses {
		addresses = append(addresses, a.Address.String())
	}
	s.Records[key{r.Network, r.ContainerID, r.IfName}] = sorted(addresses)
}

func (s state) readAddress(t *testing.T, path string) {
	t.Helper()
	base, network := filepath.Base(path), filepath.Base(filepath.Dir(path))
	if base == "lock" || strings.HasPrefix(base, "last_reserved_ip.") {
		return
	}
	id, ifname, _ := strings.Cut(string(read(t, path)), "\r\n")
	if s.Files[network] == nil {
		s.Files[network] = map[string]key{}
	}
	s.Files[network][base] = key{network, id, ifname}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	return text
}

// equal compares two states.
func (s state) equal(t *testing.T, want state) {
	t.Helper()
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("state of the host (-want +got):\n%s", diff)
	}
}

// addressesOf returns the addresses of a result as "10.1.0.2/24".
func addressesOf(t *testing.T, result []byte) []string {
	t.Helper()
	var out []string
	for _, ip := range (nettest.Answer{Stdout: result}).Result(t).IPs {
		out = append(out, ip.Address.String())
	}
	return out
}
