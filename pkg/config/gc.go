package config

import (
	"encoding/json"
	"slices"
)

// Attachment is an entry of cni.dev/valid-attachments (CNI SPEC section "GC").
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// GC is the decoded configuration of a GC.
type GC struct {
	Ident
	Bridge  string       // "" if another main plugin serves the network
	Valid   []Attachment // attachments to keep
	Present bool         // false: the key is absent, and nothing may be collected
}

// ParseGC decodes a configuration for GC. It is strict about the keys that decide
// which attachments are deleted and where: a wrong value could delete those of
// another network. It does not check the other keys, which may have become invalid
// since ADD. Every error is an *Error.
func ParseGC(data []byte) (*GC, error) { return Called{}.ParseGC(data) }

// ParseGC parses as the function ParseGC does, for a program that was called under another name (Called).
func (called Called) ParseGC(data []byte) (*GC, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	c := &Config{Ident: ident(d, top, called)}
	d.network(top, c)
	_ = d.inner(top, "ipam")
	if !c.CalledAsIPAM() {
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

// ValidAttachments decodes the attachments that GC must keep. present is false if
// the key is absent: then nothing may be collected. With null or [] no attachment
// is valid. libcni up to v1.2.3 writes the key as cni.dev/attachments
// (containernetworking/cni issue 1101), later versions write the same list under
// both keys. If both exist, only the specification's key is read. A list of another
// type is an error of kind Invalid.
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

// incomplete reports whether an entry identifies no attachment. GC must reject it:
// the attachment for which it stands would be deleted.
func incomplete(a Attachment) bool { return a.ContainerID == "" || a.IfName == "" }
