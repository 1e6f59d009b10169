package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocni "github.com/containerd/go-cni"
	"github.com/coreos/go-iptables/iptables"
	"github.com/hashicorp/go-version"

	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// client is the part of Nomad's client that calls plugins.
type client struct {
	Bin        string // cni_path
	List       string
	Subnets    []string
	attributes map[string]string
}

// allocation is an argument of Nomad's calls.
type allocation struct {
	ID, Path string
	Ports    []gocni.PortMapping
	Created  bool // the network namespace is new
}

// status is what Nomad registers of an allocation.
type status struct{ InterfaceName, Address, AddressIPv6 string }

// TestMain also runs this program inside the hosts of the tests.
func TestMain(m *testing.M) {
	c := &client{}
	of := func(call func(a allocation) (any, error)) func(json.RawMessage) (any, error) {
		return func(input json.RawMessage) (any, error) {
			var a allocation
			if err := json.Unmarshal(input, &a); err != nil {
				return nil, err
			}
			return call(a)
		}
	}
	inside.Main(m, inside.Calls{
		"start": func(input json.RawMessage) (any, error) {
			if err := json.Unmarshal(input, c); err != nil {
				return nil, err
			}
			c.fingerprint()
			return c.attributes, c.forward()
		},
		"setup":    of(func(a allocation) (any, error) { return c.setup(a) }),
		"teardown": of(func(a allocation) (any, error) { return nil, c.teardown(a) }),
	})
}

// fingerprint runs each executable of the directory without arguments. The first word of its outputs that is a
// semantic version is the node's attribute plugins.cni.version.NAME.
func (c *client) fingerprint() {
	c.attributes = map[string]string{}
	entries, _ := os.ReadDir(c.Bin)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode()&0o111 == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		out, err := exec.CommandContext(ctx, filepath.Join(c.Bin, e.Name())).CombinedOutput()
		cancel()
		if err != nil {
			continue
		}
		isVersion := func(word string) bool { _, err := version.NewSemver(word); return err == nil }
		words := strings.Fields(string(out))
		if i := slices.IndexFunc(words, isVersion); i >= 0 {
			c.attributes["plugins.cni.version."+e.Name()] = words[i]
		}
	}
}

// satisfies reports whether a plugin's version is in a range, as Nomad's scheduler and its CHECK compare it.
func satisfies(text, constraint string) bool {
	v, err := version.NewSemver(text)
	return err == nil && version.MustConstraints(version.NewConstraint(constraint)).Check(v)
}

// forward makes the chain NOMAD-ADMIN, which the list names, before each setup.
func (c *client) forward() error {
	for _, subnet := range c.Subnets {
		family := iptables.ProtocolIPv4
		if strings.Contains(subnet, ":") {
			family = iptables.ProtocolIPv6
		}
		ipt, err := iptables.New(iptables.IPFamily(family), iptables.Timeout(5))
		if err != nil {
			return err
		}
		if exists, err := ipt.ChainExists("filter", "NOMAD-ADMIN"); err != nil || !exists {
			if err := errors.Join(err, ipt.NewChain("filter", "NOMAD-ADMIN")); err != nil {
				return err
			}
		}
		if err := ipt.AppendUnique("filter", "NOMAD-ADMIN", "-o", "nomad", "-d", subnet, "-j", "ACCEPT"); err != nil {
			return err
		}
	}
	return nil
}

// load returns the library for one allocation.
func (c *client) load() (gocni.CNI, error) {
	lib, err := gocni.New(gocni.WithPluginDir(filepath.SplitList(c.Bin)), gocni.WithInterfacePrefix("eth"))
	if err != nil {
		return nil, err
	}
	if err := lib.Status(); !gocni.IsCNINotInitialized(err) {
		return nil, fmt.Errorf("status before a configuration is loaded: %w", err)
	}
	return lib, lib.Load(gocni.WithConfListBytes([]byte(c.List)))
}

// setup attaches an allocation. If its namespace exists already, as when the client is restarted, it calls CHECK, unless
// the version of bridge is less than 1.3.0. Nomad repeats a failed ADD; here the first one must succeed.
func (c *client) setup(a allocation) (*status, error) {
	if err := c.forward(); err != nil {
		return nil, err
	}
	lib, err := c.load()
	if err != nil {
		return nil, err
	}
	opts := []gocni.NamespaceOpts{gocni.WithCapabilityPortMap(a.Ports), gocni.WithLabels(map[string]string{
		"IgnoreUnknown": "true", "NOMAD_REGION": "global", "NOMAD_NAMESPACE": "default",
		"NOMAD_JOB_ID": "web/periodic-1764442260", "NOMAD_GROUP_NAME": "web servers", "NOMAD_ALLOC_ID": a.ID,
	})}
	if !a.Created {
		if !satisfies(c.attributes["plugins.cni.version.bridge"], ">= 1.3.0") {
			return nil, errors.New("not checked: the version of bridge is less than 1.3.0")
		}
		return nil, lib.Check(context.Background(), a.ID, a.Path, opts...)
	}
	result, err := lib.Setup(context.Background(), a.ID, a.Path, opts...)
	if err != nil {
		return nil, err
	}
	return statusOf(result)
}

// statusOf returns the first interface, by name, that is in the namespace and has addresses.
func statusOf(r *gocni.Result) (*status, error) {
	var names []string
	for name := range r.Interfaces {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i := r.Interfaces[name]
		if i.Sandbox == "" || len(i.IPConfigs) == 0 {
			continue
		}
		s := &status{InterfaceName: name}
		for _, ip := range i.IPConfigs {
			if ip.IP.To4() != nil {
				s.Address = ip.IP.String()
			} else {
				s.AddressIPv6 = ip.IP.String()
			}
		}
		return s, nil
	}
	return nil, fmt.Errorf("no interface with an address: %v", names)
}

// teardown detaches an allocation. Nomad answers an error by removing the chains of the reference's portmap itself.
func (c *client) teardown(a allocation) error {
	lib, err := c.load()
	if err != nil {
		return err
	}
	return lib.Remove(context.Background(), a.ID, a.Path, gocni.WithCapabilityPortMap(a.Ports))
}
