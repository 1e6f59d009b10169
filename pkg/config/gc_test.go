package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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

// What would keep less than was meant is refused: GC would collect the rest.
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
		Details: `reading stopped at byte 31 of 31, after "\"cni.dev/valid-attachments\": [": mend it there`,
	}, err)
}
