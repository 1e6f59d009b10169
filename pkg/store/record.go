package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const recordVersion = 2

// newer makes the version of the record's form one higher for each of its characters. The linker sets
// it (-X) for test/versions, where two versions of patchbay take turns; it is empty everywhere else.
var newer string

// RecordVersion is the version of the record's form that this patchbay writes. A record with a larger
// one was written by a newer patchbay.
func RecordVersion() int { return recordVersion + len(newer) }

// Roles of a record.
const (
	RolePort    = "port"    // a veth of ours, plugged into a bridge
	RoleChained = "chained" // somebody else's host-side interface, enslaved by us
	RoleIPAM    = "ipam"    // addresses only; the link is another plugin's
)

// What came of another IPAM plugin.
const (
	IPAMPending = "pending" // it has been called, or is just about to be
	IPAMDone    = "done"    // Addresses are what it gave
)

// Owners of an attachment: who made it, and so who may take it away unasked.
const (
	OwnerCNI = "cni" // a runtime, through the CNI verbs; GC is about these
	OwnerCLI = "cli" // a person, through our own commands
	OwnerLXC = "lxc" // LXC, through our hook
)

// Key identifies an attachment: CNI SPEC.md section 2 (name, CNI_CONTAINERID, CNI_IFNAME).
type Key struct {
	Network, ContainerID, IfName string
}

// String is "network/containerID/ifname".
func (k Key) String() string { return k.Network + "/" + k.ContainerID + "/" + k.IfName }

// ParseKey reads what String wrote, as far as it goes: the text may have been cut, and whole is
// whether all three parts are there. Before it the owner may stand, with a colon, where that is no
// runtime: "lxc:net/c1/eth0". No part of a key has a colon or a slash (CNI SPEC.md section 1).
func ParseKey(text string) (key Key, owner string, whole bool) {
	owner = OwnerCNI
	if by, rest, told := strings.Cut(text, ":"); told {
		owner, text = by, rest
	}
	parts := strings.SplitN(text, "/", 3)
	whole = len(parts) == 3
	parts = append(parts, "", "")
	return Key{Network: parts[0], ContainerID: parts[1], IfName: parts[2]}, owner, whole
}

// Record is what should be: everything that DEL and CHECK need to know of an attachment,
// written before anything of it exists.
type Record struct {
	Version     int          `json:"version"`
	Network     string       `json:"network"`
	ContainerID string       `json:"containerID"`
	IfName      string       `json:"ifname"`
	Owner       string       `json:"owner"`
	Role        string       `json:"role"`
	Created     time.Time    `json:"created"`
	BootID      string       `json:"bootID"` // of the host, /proc/sys/kernel/random/boot_id
	HostCookie  uint64       `json:"hostCookie,omitempty"`
	Netns       string       `json:"netns,omitempty"` // path as the runtime gave it
	NetnsCookie uint64       `json:"netnsCookie,omitempty"`
	NetnsMade   bool         `json:"netnsMade,omitempty"` // the namespace was made for it, by `patchbay up`
	Bridge      string       `json:"bridge,omitempty"`
	BridgeMAC   string       `json:"bridgeMAC,omitempty"` // of a bridge that Patchbay made: containers remember it
	HostLink    string       `json:"hostLink,omitempty"`
	HostIndex   int          `json:"hostIndex,omitempty"` // in a chain: another link may have the name later
	Alias       string       `json:"alias,omitempty"`     // of the host link, whole
	MAC         string       `json:"mac,omitempty"`       // container end
	Addresses   []Address    `json:"addresses,omitempty"`
	HostRoutes  []netip.Addr `json:"hostRoutes,omitempty"` // single addresses routed to the bridge
	Routes      []Route      `json:"routes,omitempty"`     // in a chain: on an interface that stays
	DataDir     string       `json:"dataDir,omitempty"`    // of the address files; empty without them
	IPAMType    string       `json:"ipamType,omitempty"`   // the other IPAM plugin that gives addresses; empty without one
	IPAM        string       `json:"ipam,omitempty"`       // what came of it: pending, done
	Masquerade  *Masquerade  `json:"masquerade,omitempty"` // nil: nothing of it is in the ruleset
	Publish     *Publish     `json:"publish,omitempty"`    // nil: no port of the host leads to it
	Policy      string       `json:"policy,omitempty"`     // ingressPolicy, "" for open
	Hairpin     bool         `json:"hairpin,omitempty"`    // of the bridge port
	Gateway     bool         `json:"gateway,omitempty"`    // the bridge has the gateways of Addresses
	Pod         *Pod         `json:"pod,omitempty"`
}

// Route is a route that was put on an interface which another plugin made.
type Route struct {
	Dst      netip.Prefix `json:"dst"`
	GW       netip.Addr   `json:"gw,omitzero"`
	Priority int          `json:"priority,omitempty"`
	Table    int          `json:"table,omitempty"`
}

// Masquerade is what the ruleset does with what comes from an attachment.
type Masquerade struct {
	Addresses   []netip.Prefix `json:"addresses"`         // that leave with the host's address, with the length of their subnets
	Exclude     []netip.Prefix `json:"exclude,omitempty"` // destinations that see the container's own
	RandomFully bool           `json:"randomFully,omitempty"`
}

// Publish is what of the host's ports leads to an attachment.
type Publish struct {
	Ports     []Port `json:"ports"`
	Plain     bool   `json:"plain,omitempty"`     // snat: false
	All       bool   `json:"all,omitempty"`       // masqAll
	MarkBit   int    `json:"markBit"`             // markMasqBit
	Localhost bool   `json:"localhost,omitempty"` // 127.0.0.1 leads there too
}

// Port is one published port, or several that follow each other.
type Port struct {
	Protocol      string     `json:"protocol"`        // tcp, udp, sctp
	HostIP        netip.Addr `json:"hostIP,omitzero"` // none: any of Container's family
	HostPort      uint16     `json:"hostPort"`        // the first
	Count         int        `json:"count,omitempty"` // 0 means 1
	Container     netip.Addr `json:"container"`       // where it leads
	ContainerPort uint16     `json:"containerPort"`   // the first
}

// HostAddress is the port's address of the host, the unspecified one for any of its family.
func (p Port) HostAddress() netip.Addr {
	switch {
	case p.HostIP.IsValid():
		return p.HostIP
	case p.Container.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Many is how many ports it is.
func (p Port) Many() int { return max(1, p.Count) }

// Pod is what Kubernetes says in CNI_ARGS.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// Address is an address of the container with the prefix length of its subnet.
type Address struct {
	Address netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// Key is the record's key.
func (r *Record) Key() Key { return Key{r.Network, r.ContainerID, r.IfName} }

// ErrUnreadable is wrapped by errors about a record that is torn, or of a form that this
// version does not know; ErrNewer by those about a form of the future. A record of which only the
// latter is said has been read as far as this version knows it: enough to remove what it names.
var (
	ErrUnreadable = errors.New("unreadable record")
	ErrNewer      = errors.New("written by a newer patchbay")
)

// decodeRecord reads a record; nil without error for an empty file. One of a newer form comes with
// ErrNewer, if what is known of it has the known shape.
func decodeRecord(data []byte) (*Record, error) {
	if len(data) == 0 {
		return nil, nil
	}
	// The version alone first: the rest of a newer form may be of shapes unknown here.
	var form struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if form.Version < 1 {
		return nil, fmt.Errorf("%w: it has no version", ErrUnreadable)
	}
	r := &Record{}
	err := json.Unmarshal(data, r)
	if form.Version > RecordVersion() {
		future := fmt.Errorf("%w: it has version %d, this one knows versions up to %d", ErrNewer, form.Version, RecordVersion())
		if err != nil || r.Key() == (Key{}) {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, future)
		}
		return r, future
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return r, nil
}

// decodeRecordOf is decodeRecord for the file of an attachment: that of another is unreadable.
func decodeRecordOf(key Key, data []byte) (*Record, error) {
	r, err := decodeRecord(data)
	if r != nil && r.Key() != key {
		return nil, fmt.Errorf("%w: it is that of %s", ErrUnreadable, r.Key())
	}
	return r, err
}

// Entry is one record file as List finds it.
type Entry struct {
	Path   string
	Key    Key
	Record *Record // nil for an empty file, and if Err is set but for one that is no more than ErrNewer
	Err    error
}

// List returns every record under a state directory, in the order of their paths. A record
// that cannot be read is an entry with Err; an empty one (a verb that is just beginning or
// was killed there) is left out. A state directory that does not exist has no records.
func List(stateDir string) ([]Entry, error) {
	entries, err := list(stateDir, "*", nil)
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.Record == nil && e.Err == nil }), err
}

// ListNetwork is List for one network, with the empty ones.
func ListNetwork(stateDir, network string) ([]Entry, error) { return list(stateDir, network, nil) }

// ListNetworkBut is ListNetwork without the records that are passed over, which are not read.
func ListNetworkBut(stateDir, network string, pass func(Key) bool) ([]Entry, error) {
	return list(stateDir, network, pass)
}

// list takes a pattern for the network's name; no name can hold what a pattern gives a meaning.
func list(stateDir, network string, pass func(Key) bool) ([]Entry, error) {
	if _, err := os.ReadDir(stateDir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read state directory: %w", err)
	}
	// Not a pattern with stateDir in it: a [ there would be part of the pattern.
	names, err := fs.Glob(os.DirFS(stateDir), network+"/*@*.json")
	if err != nil {
		return nil, fmt.Errorf("list records of %s: %w", stateDir, err)
	}
	var entries []Entry
	for _, name := range names {
		path := filepath.Join(stateDir, name)
		e := Entry{Path: path, Key: keyOf(path)}
		if pass != nil && pass(e.Key) {
			continue
		}
		if errors.Is(lookAtDirs(stateDir, filepath.Dir(path)), ErrIrregular) {
			continue // whatever is there, no verb takes it for a record
		}
		if now, there := e.Now(); there {
			entries = append(entries, now)
		}
	}
	return entries, nil
}

// Now reads an entry's file again, without a lock; false if it is not there any more.
func (e Entry) Now() (Entry, bool) {
	now := Entry{Path: e.Path, Key: e.Key}
	data, err := readOurs(e.Path)
	if errors.Is(err, os.ErrNotExist) {
		return now, false // ended meanwhile
	}
	if now.Err = err; err == nil {
		now.Record, now.Err = decodeRecordOf(e.Key, data)
	}
	return now, true
}

// keyOf reads the key from a record's path. Neither network names nor container IDs can hold
// an @ (CNI SPEC.md section 1), interface names can.
func keyOf(path string) Key {
	id, ifname, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "@")
	return Key{Network: filepath.Base(filepath.Dir(path)), ContainerID: id, IfName: ifname}
}

// BootID is the identity of the host's running boot, "" where the kernel does not tell.
func BootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
