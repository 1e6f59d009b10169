package config

import (
	"encoding/json"
	"slices"
)

// Attachment is one member of cni.dev/valid-attachments.
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// GC is what a GC is told.
type GC struct {
	Ident
	Bridge  string       // "" if the configuration is another main plugin's
	Valid   []Attachment // what to keep
	Present bool         // false: nothing was said of what is valid, and nothing may be collected
}

// ParseGC reads a configuration for GC. It is strict in what says which attachments are collected
// and where they are: read wrong, it would be those of somebody else. Of the rest, which may have
// become invalid since, it reads nothing. Every error is an *Error.
func ParseGC(data []byte) (*GC, error) { return Called{}.ParseGC(data) }

// ParseGC is the function ParseGC for a program that has another name too.
func (called Called) ParseGC(data []byte) (*GC, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	c := &Config{Ident: ident(d, top, called)}
	d.network(c)
	_ = d.inner(top, "ipam")
	if !c.Delegated() {
		d.bridgeName(top, c)
	}
	if d.err != nil {
		return nil, d.err
	}
	valid, present, err := ValidAttachments(data)
	if err != nil {
		return nil, err
	}
	return &GC{Ident: c.Ident, Bridge: c.Bridge, Valid: valid, Present: present}, nil
}

// ValidAttachments reads what GC is told to keep. present is false when the key is absent:
// the runtime then said nothing and nothing may be collected. null and [] say that nothing is
// valid. libcni up to v1.2.3 writes the key as cni.dev/attachments (containernetworking/cni
// issue 1101), later ones write the same list under both: should they differ, the specification's
// key counts, and the other one is not even read. A list of the wrong shape is an error of kind
// Invalid.
func ValidAttachments(data []byte) (valid []Attachment, present bool, err error) {
	top, bad := object(data)
	if bad != nil {
		return nil, false, bad
	}
	for _, key := range []string{"cni.dev/valid-attachments", "cni.dev/attachments"} {
		raw, found := top.fields[key]
		if !found {
			continue
		}
		if err := json.Unmarshal(raw, &valid); err != nil || slices.ContainsFunc(valid, incomplete) {
			return nil, false, invalid(key, `give a list of {"containerID": ..., "ifname": ...}`, "want a list of attachments, got %s", brief(raw))
		}
		return valid, true, nil
	}
	return nil, false, nil
}

// incomplete is a member that keeps nothing: taken as it stands, what it was meant to keep
// would be collected.
func incomplete(a Attachment) bool { return a.ContainerID == "" || a.IfName == "" }
