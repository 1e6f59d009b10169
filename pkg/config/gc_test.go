package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: GC accepts every form of its list and both keys; an invalid list is an error and changes nothing; other mistakes in the
// configuration do not stop GC
func TestValidAttachments(t *testing.T) {
	two := []Attachment{{ContainerID: "a", IfName: "eth0"}, {ContainerID: "b", IfName: "eth1"}}
	const list = `[{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "eth1"}]`
	for _, tc := range []struct {
		name, members string
		want          []Attachment
		present       bool
	}{
		{"absent", ``, nil, false},
		{"null", `"cni.dev/valid-attachments": null`, nil, true},
		{"empty", `"cni.dev/valid-attachments": []`, []Attachment{}, true},
		{"two", `"cni.dev/valid-attachments": ` + list, two, true},
		{"the misspelt key", `"cni.dev/attachments": ` + list, two, true},
		{"the misspelt key with null", `"cni.dev/attachments": null`, nil, true},
		{"both, the right one wins", `"cni.dev/attachments": [], "cni.dev/valid-attachments": ` + list, two, true},
		{"another key", `"cni.dev/Valid-Attachments": []`, nil, false},
		{"more than is known", `"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0", "new": 1}]`, two[:1], true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, present, err := ValidAttachments([]byte(conf(tc.members)))
			if err != nil {
				t.Fatal(err)
			}
			if present != tc.present {
				t.Errorf("present: got %t, want %t", present, tc.present)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("attachments (-want +got):\n%s", diff)
			}
		})
	}
}

// An incomplete entry is an error: GC would delete the attachment that it stands for.
func TestValidAttachmentsRefuses(t *testing.T) {
	const help = `give a list of {"containerID": ..., "ifname": ...}`
	for _, tc := range []struct{ members, msg string }{
		{`"cni.dev/valid-attachments": {}`, `cni.dev/valid-attachments: want a list of attachments, got {}`},
		{`"cni.dev/valid-attachments": "a"`, `cni.dev/valid-attachments: want a list of attachments, got "a"`},
		{`"cni.dev/valid-attachments": ["a"]`, `cni.dev/valid-attachments: want a list of attachments, got ["a"]`},
		{`"cni.dev/attachments": [{"containerID": 5, "ifname": "eth0"}]`, `cni.dev/attachments: want a list of attachments, got [{"containerID":5,"ifname":"eth0"}]`},
		{`"cni.dev/valid-attachments": [null]`, `cni.dev/valid-attachments: want a list of attachments, got [null]`},
		{`"cni.dev/valid-attachments": [{"containerID": "a"}]`, `cni.dev/valid-attachments: want a list of attachments, got [{"containerID":"a"}]`},
		{`"cni.dev/valid-attachments": [{"ifname": "eth0"}]`, `cni.dev/valid-attachments: want a list of attachments, got [{"ifname":"eth0"}]`},
	} {
		t.Run(tc.members, func(t *testing.T) {
			got, present, err := ValidAttachments([]byte(conf(tc.members)))
			if got != nil || present {
				t.Errorf("got %v, present %t, beside the error", got, present)
			}
			sameError(t, &Error{Kind: Invalid, Msg: tc.msg, Details: help}, err)
		})
	}
	_, present, err := ValidAttachments([]byte(`{"cni.dev/valid-attachments": [`))
	if present {
		t.Error("present although the configuration is cut off")
	}
	sameError(t, &Error{
		Kind: Undecodable, Msg: "network configuration is not a JSON object: unexpected end of JSON input",
		Details: `reading stopped at byte 31 of 31, after "\"cni.dev/valid-attachments\": [": correct it there`,
	}, err)
}

// ParseGC checks the keys that decide which attachments are deleted and where, and no others.
func TestParseGC(t *testing.T) {
	const list = `"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]`
	got, err := ParseGC([]byte(conf(`"bridge": "br0", "mtu": "big", "vlan": 5, "ipam": {"type": "patchbay", "ranges": 5, "dataDir": "/d"}, ` + list)))
	if err != nil {
		t.Fatal(err)
	}
	want := &GC{Bridge: "br0", Valid: []Attachment{{ContainerID: "a", IfName: "eth0"}}, Present: true, Ident: bare().Ident}
	want.IPAMType, want.DataDir = "patchbay", "/d"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = Called{AsIPAM: true}.ParseGC([]byte(`{"cniVersion": "1.1.0", "name": "net", "type": "macvlan", "bridge": 5, "ipam": {"type": "patchbay"}}`))
	if err != nil || got.Present || got.Bridge != "" {
		t.Errorf("of another plugin: %+v, %v", got, err)
	}
	for _, tc := range []struct{ data, msg, details string }{
		{conf(`"bridge": 5`), `bridge: want a string, got 5`, "give a string, or leave the key out"},
		{conf(`"stateDir": "run"`), `stateDir: "run" is not an absolute path`, "give a path that begins with /"},
		{conf(`"ipam": "patchbay"`), `ipam: want an object, got "patchbay"`, "give an object, or leave the key out"},
		{`{"cniVersion": "1.1.0", "type": "patchbay"}`, `name: missing network name`, `give the network a "name"`},
	} {
		got, err := ParseGC([]byte(tc.data))
		if got != nil {
			t.Errorf("ParseGC(%s) returned a value beside its error", tc.data)
		}
		sameError(t, &Error{Kind: Invalid, Msg: tc.msg, Details: tc.details}, err)
	}
}
