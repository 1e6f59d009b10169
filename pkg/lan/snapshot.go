package lan

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// KeyValue is a key of etcd.
type KeyValue struct {
	Key      string
	Value    []byte
	Revision int64 // of the last write
	Lease    int64 // 0: none
}

// Held is what a key says about an owner.
type Held struct {
	Owner
	Revision int64
	Lease    int64
}

// Snapshot is all that etcd has about a network at one moment.
type Snapshot struct {
	Config         *Config // nil: the network is not initialized
	ConfigRevision int64
	Nodes          map[string]Held
	Blocks         map[netip.Prefix]Held // the claimed ones
	Used           map[netip.Prefix]Held // the last claim of each
	Faults         []string              // keys that cannot be read, each in a clause
}

// ReadSnapshot reads the keys of a network. A key that cannot be read is in Faults; a block with such a key is claimed by
// an unknown host.
func ReadSnapshot(keys Keys, all []KeyValue) Snapshot {
	s := Snapshot{Nodes: map[string]Held{}, Blocks: map[netip.Prefix]Held{}, Used: map[netip.Prefix]Held{}}
	for _, kv := range all {
		kind, name, _ := strings.Cut(strings.TrimPrefix(kv.Key, keys.Prefix()), "/")
		var err error
		switch kind {
		case "config":
			err = s.readConfig(kv)
		case "nodes":
			s.Nodes[name], err = readHeld(kv)
		case "blocks":
			err = readBlock(s.Blocks, name, kv)
		case "used":
			err = readBlock(s.Used, name, kv)
		}
		if err != nil {
			s.Faults = append(s.Faults, fmt.Sprintf("key %s: %s", kv.Key, err))
		}
	}
	return s
}

func (s *Snapshot) readConfig(kv KeyValue) error {
	c, err := DecodeConfig(kv.Value)
	if err == nil {
		s.Config, s.ConfigRevision = &c, kv.Revision
	}
	return err
}

// readHeld reads a value; there is none in an answer of keys alone.
func readHeld(kv KeyValue) (Held, error) {
	h := Held{Revision: kv.Revision, Lease: kv.Lease}
	if len(kv.Value) == 0 {
		return h, nil
	}
	err := json.Unmarshal(kv.Value, &h.Owner)
	return h, err
}

func readBlock(into map[netip.Prefix]Held, name string, kv KeyValue) error {
	block, err := netip.ParsePrefix(name)
	if err != nil {
		return err
	}
	into[block], err = readHeld(kv)
	return err
}

// refresh takes over the claimed blocks, and the last claims, of a newer snapshot of a part of the keys.
func (s *Snapshot) refresh(newer Snapshot) {
	s.Blocks = newer.Blocks
	maps.Copy(s.Used, newer.Used)
}

// Choose returns a block that no host has claimed: one that this host had before, as long as there is one, because its
// containers remember their addresses; else a random one. Hosts that choose at the same moment choose differently. random
// returns a number from 0 to n-1. It returns false if every block is claimed.
func (s Snapshot) Choose(self Owner, random func(n int) int) (netip.Prefix, bool) {
	var free, former []netip.Prefix
	for block := range s.Config.usableBlocks() {
		if _, claimed := s.Blocks[block]; claimed {
			continue
		}
		free = append(free, block)
		if used, ok := s.Used[block]; ok && used.SameHost(self) {
			former = append(former, block)
		}
	}
	switch {
	case len(former) > 0:
		return former[random(len(former))], true
	case len(free) > 0:
		return free[random(len(free))], true
	}
	return netip.Prefix{}, false
}

// Claim returns the value that a claim of a block writes, and the revision that the block's last claim must have at that
// moment; 0 if there is none.
func (s Snapshot) Claim(self Owner, block netip.Prefix) (value Owner, used int64) {
	value, last := self, s.Used[block]
	if last.Revision != 0 && !last.SameBoot(self) {
		value.State = Unprobed
	}
	return value, last.Revision
}

// Conflict returns the node that has this host's name and another machine-id, or its machine-id and another name; "" if
// there is none.
func (s Snapshot) Conflict(self Owner) string {
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		switch {
		case name == self.Node && n.MachineID != self.MachineID:
			return fmt.Sprintf("another host has the name %s: its machine-id is %s, this host's is %s; choose another name with --node, or remove the other host with patchbay-lan forget", name, n.MachineID, self.MachineID)
		case name != self.Node && n.MachineID == self.MachineID:
			return fmt.Sprintf("the host %s has this host's machine-id %s: make a new one here (machine-id(5)), or if this host was renamed, remove the old name with patchbay-lan forget %s", name, self.MachineID, name)
		}
	}
	return ""
}
