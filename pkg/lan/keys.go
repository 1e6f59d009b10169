package lan

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// root is where all keys are. The version changes if a program that knows this form could not read the keys.
const root = "/patchbay/v1/"

// Keys are the keys of one network in etcd:
//
//	/patchbay/v1/NETWORK/config       the Config, written once
//	/patchbay/v1/NETWORK/nodes/NODE   an Owner, on the lease of the host; each start of the program writes it anew
//	/patchbay/v1/NETWORK/blocks/CIDR  an Owner, on the same lease
//	/patchbay/v1/NETWORK/used/CIDR    the Owner of the last claim, without a lease
type Keys struct{ Network string }

// Prefix returns what all keys of the network begin with.
func (k Keys) Prefix() string { return root + k.Network + "/" }

// Config returns the key of the configuration.
func (k Keys) Config() string { return k.Prefix() + "config" }

// Node returns the key of a host.
func (k Keys) Node(name string) string { return k.Prefix() + "nodes/" + name }

// Blocks returns what the keys of all blocks begin with.
func (k Keys) Blocks() string { return k.Prefix() + "blocks/" }

// Block returns the key of a block's owner.
func (k Keys) Block(block netip.Prefix) string { return k.Blocks() + block.String() }

// Used returns the key of a block's last owner.
func (k Keys) Used(block netip.Prefix) string { return k.Prefix() + "used/" + block.String() }

// State says what has to happen to a block before its use.
type State string

// The states of a block.
const (
	Usable     State = ""           // the owner may use it
	Unprobed   State = "unprobed"   // another host had it: it is probed before its first use
	Quarantine State = "quarantine" // a host of the LAN that is not the owner has an address of it
)

// Owner is a host, and the value of its keys.
type Owner struct {
	Node      string    `json:"node"`      // name of the host, unique on the LAN
	MachineID string    `json:"machineId"` // machine-id(5)
	BootID    string    `json:"bootId"`    // /proc/sys/kernel/random/boot_id
	Time      time.Time `json:"time"`      // of the write, by the clock of the host: for people alone
	State     State     `json:"state,omitempty"`
}

// SameHost reports whether two owners are one host, maybe after a reboot.
func (o Owner) SameHost(other Owner) bool {
	return o.Node == other.Node && o.MachineID == other.MachineID
}

// SameBoot reports whether two owners are one host that has not been rebooted in between.
func (o Owner) SameBoot(other Owner) bool { return o.SameHost(other) && o.BootID == other.BootID }

// Encode returns the value of a key.
func (o Owner) Encode() []byte {
	text, _ := json.Marshal(o) // a time before the year 10000
	return text
}

// CheckNode returns an error for a name that no host can have: a hostname(7) of at most 253 characters.
func CheckNode(name string) error {
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("node name %q: use letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}
