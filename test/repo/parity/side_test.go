package parity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// facts are the observations of a side, by name.
type facts map[string]string

// side is a host that runs a row with one of the two sets of plugins.
type side struct {
	*nettest.Node
	row  row
	ours bool
	lan  *nettest.LAN
	cni  *libcni.CNIConfig

	bridge string
	both   []*nettest.Container
	ends   map[string]string // host interfaces by the name of their container
	ifbs   map[string]string // containers by the name of their ifb device
	first  string            // MAC of the bridge before, or after the first ADD
	facts  facts
}

// run attaches and detaches two containers on a new host and records the answers to ADD and CHECK, the state of host and containers in between, and
// what is left.
func run(t *testing.T, r row, ours bool) facts {
	t.Helper()
	s := &side{Node: nettest.Host(t), row: r, ours: ours, bridge: r.bridge(t), ends: map[string]string{}, ifbs: map[string]string{}, facts: facts{}}
	s.Oracle(nettest.Attachment)
	if !ours {
		s.NoOracle("what the reference leaves is a fact, and ours must not leave it")
	}
	s.prepare(t)
	for _, allowed := range r.replaces {
		s.Allow(allowed)
	}
	s.cni = libcni.NewCNIConfigWithCacheDir([]string{binDir(t)}, "/run/cni-cache", nil)
	s.both = []*nettest.Container{s.Container("one"), s.Container("two")}
	before, fresh := s.sysctls(s.Netns), s.sysctls(s.both[0].Netns)
	for _, c := range s.both {
		s.add(t, c)
		s.addSysctls(c.Netns, c.Name()+" sysctl ", fresh)
	}
	s.addSysctls(s.Netns, "host sysctl ", before)
	s.addFiles(t, "with both: ")
	s.addPings(t)
	s.addRules(t, true)
	for _, c := range s.both {
		s.facts["CHECK "+c.Name()] = answer(s.do(t, c, s.cni.CheckNetworkList))
	}
	for _, c := range s.both {
		s.del(t, c)
	}
	s.addFiles(t, "after both DELs: ")
	s.addRules(t, false)
	return s.facts
}

// prepare sets up the host of a row.
func (s *side) prepare(t *testing.T) {
	t.Helper()
	if s.row.outside {
		s.lan = s.LAN(t)
	}
	if s.row.host != nil {
		s.row.host(t, s.Node)
		s.Baseline()
	}
	if b, err := s.Netlink().LinkByName(s.bridge); err == nil {
		s.first = b.Attrs().HardwareAddr.String()
	}
}

// binDir returns a directory with the plugins, like /opt/cni/bin.
func binDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	link := func(name, path string) {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("patchbay", nettest.Patchbay(t))
	for _, name := range []string{"bridge", "host-local", "portmap", "tuning", "sbr", "bandwidth"} {
		link(name, nettest.Program(t, name))
	}
	return dir
}

// verb is a call of libcni.
type verb func(context.Context, *libcni.NetworkConfigList, *libcni.RuntimeConf) error

// do calls on the host's thread: libcni starts plugins from the thread it is called on.
func (s *side) do(t *testing.T, c *nettest.Container, call verb) (err error) {
	t.Helper()
	list := s.row.network(t, s.ours, c.Name())
	rt := &libcni.RuntimeConf{
		ContainerID: c.ID(), NetNS: c.Path(), IfName: "eth0",
		Args: s.row.args[c.Name()], CapabilityArgs: s.row.capabilities[c.Name()],
	}
	s.Do(func() { err = call(context.Background(), list, rt) })
	return err
}

func (s *side) add(t *testing.T, c *nettest.Container) {
	t.Helper()
	var result types.Result
	err := s.do(t, c, func(ctx context.Context, list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) (err error) {
		result, err = s.cni.AddNetworkList(ctx, list, rt)
		return err
	})
	s.facts["ADD "+c.Name()] = answer(err)
	if err != nil {
		s.readHost(t, "after ADD "+c.Name()+": ")
		return
	}
	s.settle(t, c)
	s.addResult(t, c, result)
	s.readHost(t, "after ADD "+c.Name()+": ")
	s.readContainer(t, c)
}

func (s *side) del(t *testing.T, c *nettest.Container) {
	t.Helper()
	s.facts["DEL "+c.Name()] = answer(s.do(t, c, s.cni.DelNetworkList))
	delete(s.ends, c.Name())
	s.readHost(t, "after DEL "+c.Name()+": ")
	s.addPolicy(t, c.Netns, "after DEL "+c.Name()+": ")
	_, err := c.Netlink().LinkByName("eth0")
	s.facts["after DEL "+c.Name()+": eth0 is there"] = fmt.Sprint(err == nil)
}

const passes = "passes"

// answer returns the outcome of a verb without a result.
func answer(err error) string {
	if err != nil {
		return "fails: " + err.Error()
	}
	return passes
}

// addResult records each value of a result by its path. MACs and the name of the host interface are replaced by their roles.
func (s *side) addResult(t *testing.T, c *nettest.Container, result types.Result) {
	t.Helper()
	var text bytes.Buffer
	if err := result.PrintTo(&text); err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	s.roles(c, tree)
	s.flatten("result "+c.Name()+" ", tree)
}

// roles replaces the MAC of each interface by whether it is the one that the kernel has.
func (s *side) roles(c *nettest.Container, tree any) {
	top, _ := tree.(map[string]any)
	list, _ := top["interfaces"].([]any)
	for _, entry := range list {
		i, _ := entry.(map[string]any)
		where := s.Netns
		if sandbox, _ := i["sandbox"].(string); sandbox != "" {
			where = c.Netns
		}
		name, _ := i["name"].(string)
		l, err := where.Netlink().LinkByName(name)
		if err == nil && l.Attrs().HardwareAddr.String() == i["mac"] {
			i["mac"] = "the one that the kernel has"
		}
		i["name"] = s.role(name)
	}
}

func (s *side) flatten(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			s.flatten(strings.TrimSuffix(path, ".")+map[bool]string{true: "", false: "."}[strings.HasSuffix(path, " ")]+key, inner)
		}
	case []any:
		s.facts[path+" length"] = fmt.Sprint(len(v))
		for i, inner := range v {
			s.flatten(fmt.Sprintf("%s[%d]", path, i), inner)
		}
	default:
		s.facts[path] = fmt.Sprint(v)
	}
}

// addFiles records the address files and the position of the round robin.
func (s *side) addFiles(t *testing.T, when string) {
	t.Helper()
	dir := s.row.dataDir
	if dir == "" {
		dir = map[bool]string{true: "/run/patchbay/ipam", false: "/var/lib/cni/networks"}[s.ours]
	}
	dir = filepath.Join(dir, s.row.network(t, s.ours, "").Name)
	s.Do(func() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return // there is no IPAM, or no address was allocated
		}
		if s.row.dataDir == "" {
			s.facts["directory of the addresses"] = filepath.Dir(dir)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && e.Name() != "lock" {
				text, err := os.ReadFile(filepath.Join(dir, e.Name()))
				s.facts[when+"file "+e.Name()] = fmt.Sprintf("%q %v", text, err)
			}
		}
	})
}
