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

// ValidAttachments reads what GC is told to keep. present is false when the key is absent:
// the runtime then said nothing and nothing may be collected. null and [] say that nothing is
// valid. libcni up to v1.2.3 writes the key as cni.dev/attachments (containernetworking/cni
// issue 1101). A list of the wrong shape is an error of kind Invalid.
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
