package store

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// netips lets cmp compare addresses and prefixes, which have unexported fields.
func netips() cmp.Option { return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}) }

func newDirs(t *testing.T) Dirs {
	t.Helper()
	return dirsIn(t.TempDir())
}

// dirsIn returns a data directory in a state directory, as by default.
func dirsIn(base string) Dirs {
	return Dirs{State: filepath.Join(base, "state"), Data: filepath.Join(base, "state", dataName)}
}

const dataName = "ipam"

func keyFor(id string) Key { return Key{Network: "net", ContainerID: id, IfName: "eth0"} }

// newRecord returns a record with the required fields only.
func newRecord(key Key) *Record {
	return &Record{Version: RecordVersion(), Network: key.Network, ContainerID: key.ContainerID, IfName: key.IfName, Owner: OwnerCNI, Role: RolePort}
}

func open(t *testing.T, dirs Dirs, key Key) *Attachment {
	t.Helper()
	a, err := Open(t.Context(), dirs, key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	t.Cleanup(a.unlock)
	return a
}

func closeIt(t *testing.T, a *Attachment) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatalf("close %s: %v", a.Key, err)
	}
}

// written saves a record and closes the attachment, as an earlier verb does.
func written(t *testing.T, dirs Dirs, r *Record) {
	t.Helper()
	a := open(t, dirs, r.Key())
	if err := a.Save(r); err != nil {
		t.Fatal(err)
	}
	closeIt(t, a)
}

// pool returns a complete pool with a set for each text "SUBNET" or "SUBNET START END".
func pool(t *testing.T, sets ...string) ipam.Pool {
	t.Helper()
	var p ipam.Pool
	for _, text := range sets {
		words := strings.Fields(text)
		r := ipam.Range{Subnet: prefix(words[0])}
		if len(words) == 3 {
			r.Start, r.End = addr(words[1]), addr(words[2])
		}
		p.Sets = append(p.Sets, ipam.Set{r})
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	return p
}

// reserve does the part of ADD that concerns the store, and returns the addresses as text.
func reserve(t *testing.T, dirs Dirs, key Key, req Request) (string, error) {
	t.Helper()
	a := open(t, dirs, key)
	defer closeIt(t, a)
	r := newRecord(key)
	err := a.Reserve(t.Context(), r, req)
	if err != nil {
		if a.Record != nil {
			if err := a.Remove(); err != nil {
				t.Error(err)
			}
		}
		return "", err
	}
	return addressText(r), nil
}

func addressText(r *Record) string {
	var texts []string
	for _, address := range r.Addresses {
		texts = append(texts, address.Address.Addr().String())
	}
	return strings.Join(texts, " ")
}

// gives reserves addresses and compares them.
func gives(t *testing.T, dirs Dirs, key Key, req Request, want string) {
	t.Helper()
	got, err := reserve(t, dirs, key, req)
	if err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
	}
}

// release does the part of DEL that concerns the store.
func release(t *testing.T, dirs Dirs, key Key) {
	t.Helper()
	a := open(t, dirs, key)
	if err := a.Release(t.Context()); err != nil {
		t.Fatalf("release %s: %v", key, err)
	}
	if err := a.Remove(); err != nil {
		t.Fatalf("remove %s: %v", key, err)
	}
}

// files returns the files below a directory, without those of a data directory in it: content
// by path, symbolic links as "-> target".
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path == filepath.Join(dir, dataName) {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if target, err := os.Readlink(path); err == nil {
			found[name] = "-> " + target
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = string(text)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

func sameFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files of %s (-want +got):\n%s", filepath.Base(dir), diff)
	}
}

func recordPath(dirs Dirs, id string) string {
	return filepath.Join(dirs.State, "net", id+"@eth0.json")
}

func addrPath(dirs Dirs, name string) string { return filepath.Join(dirs.Data, "net", name) }

// notOurs is the text of ErrIrregular between a path and what was found there.
const notOurs = ": file not created by Patchbay: "

// saysOf fails unless err is set and its text ends with want.
func saysOf(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got the error %v, want one that ends %q", err, want)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sameMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != want {
		t.Errorf("%s: mode %v, want %v", path, info.Mode(), want)
	}
}

// fullRecord sets every field.
func fullRecord() *Record {
	return &Record{
		Version: 3, Network: "net", ContainerID: "c1", IfName: "eth0", Owner: "cni", Role: "port",
		Created: time.Date(2026, 11, 24, 4, 5, 6, 7, time.UTC), BootID: "boot", HostCookie: 1, HostInode: 4026531840,
		Netns: "/run/netns/a", NetnsCookie: 1 << 63, NetnsInode: 4026532000, NetnsMade: true,
		Bridge: "br0", BridgeMAC: "02:00:00:00:00:09", HostLink: "veth0", HostIndex: 7, Alias: "patchbay:0 net/c1/eth0", MAC: "02:00:00:00:00:01",
		Addresses:  []Address{{Address: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1")}, {Address: prefix("2001:db8::3/128")}},
		HostRoutes: []netip.Addr{addr("2001:db8::3")},
		Routes:     []Route{{Dst: prefix("0.0.0.0/0"), GW: addr("10.1.2.1"), Priority: 100, Table: 7}, {Dst: prefix("::/0")}},
		Planned:    []Route{{Dst: prefix("0.0.0.0/0"), GW: addr("10.1.2.1")}},
		DataDir:    "/data",
		IPAMType:   "dhcp", IPAM: IPAMDone,
		Masquerade: &Masquerade{
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")},
			Exclude:   []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, RandomFully: true,
			Outbound4: addr("203.0.113.5"), Outbound6: addr("2001:db8::5"),
		},
		Publish: &Publish{
			Ports: []Port{{Protocol: "tcp", HostIP: addr("192.0.2.1"), HostPort: 8080, Count: 2, Container: addr("10.1.2.3"), ContainerPort: 80}},
			Plain: true, All: true, MarkBit: 20, Localhost: true,
		},
		Bandwidth: &Bandwidth{
			Ingress: &Rate{Rate: 1<<64 - 1, Burst: 100000}, Egress: &Rate{Rate: 1000000},
			Shaped: []netip.Prefix{prefix("10.0.0.0/8")}, Unshaped: []netip.Prefix{prefix("10.1.0.0/16")}, Device: "ifb0",
		},
		Tuning: &Tuning{
			Set: TuningValues{
				Sysctls: []Sysctl{{Name: "net/ipv4/conf/eth0/arp_filter", Value: "1"}, {Name: "net/ipv4/neigh/eth0/base_reachable_time_ms", Value: "30001", Kernel: "30000"}},
				Promisc: new(true), AllMulti: new(false), TxQLen: new(0),
			},
			Was: &TuningValues{MAC: "02:00:00:00:00:07", MTU: 1500, Promisc: new(false), TxQLen: new(1000)},
		},
		SourceRouting: &SourceRouting{
			Rules:  []SourceRule{{Address: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), Table: 100}, {Address: prefix("2001:db8::3/128"), Table: 101}},
			Shared: true,
		},
		Policy: "isolated", FirewallAuto: true, Egress: &Egress{Allow: []netip.Prefix{prefix("192.0.2.0/24")}, DNS: []netip.Addr{addr("192.0.2.53")}, DHCP: true}, SpoofCheck: &SpoofCheck{MAC: "02:00:00:00:00:01", Full: true}, STPGuard: true, Hairpin: true, Gateway: true,
		PortIsolation: true, VLANs: &VLANs{Native: 100, Trunk: []VLANRange{{First: 5, Last: 5}, {First: 10, Last: 20}}, KeepDefault: true}, Segment: "br0.100",
		Tap: &Tap{Name: "tap0", Owner: new(uint32), Group: new(uint32), MultiQueue: true},
		Pod: &Pod{Namespace: "default", Name: "web", UID: "u"}, Parts: []string{"portmap", "firewall"},
	}
}
