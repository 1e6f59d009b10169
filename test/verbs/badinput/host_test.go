package badinput

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// row is one call that must be refused, and the error that it must return.
type row struct {
	name    string
	config  string   // standard input
	args    string   // CNI_ARGS
	env     []string // "NAME=value"; they replace those of the table's call
	unset   []string // CNI variables to leave out
	code    uint
	msg     string // the whole message
	details string // a part of the details: the evidence or the remedy
	version string // cniVersion of the answer; "1.0.0" if empty
}

// refusal is the error object of CNI SPEC.md section 5, without further keys.
type refusal struct {
	CNIVersion string `json:"cniVersion"`
	Code       uint   `json:"code"`
	Msg        string `json:"msg"`
	Details    string `json:"details"`
}

// table is a host on which rows run one after the other.
type table struct {
	*nettest.Node
	call nettest.Call // the call that rows change
}

// newTable returns a host with a container "web", and the call that would attach it.
func newTable(t *testing.T, opts ...nettest.Option) *table {
	t.Helper()
	h := nettest.Host(t, opts...)
	h.Oracle(nettest.CleanHost)
	web := h.Container("web")
	h.Baseline()
	return &table{h, nettest.Call{Command: "ADD", ContainerID: "c1", Netns: web.Path(), IfName: "eth0"}}
}

// attach attaches another container, which also creates the state directories and the bridge.
func (b *table) attach(t *testing.T, name, config string) *nettest.Container {
	t.Helper()
	c := b.Container(name)
	b.CNI(t, nettest.Call{Command: "ADD", ContainerID: name, Netns: c.Path(), IfName: "eth0", Config: []byte(config)}).OK(t)
	b.Baseline()
	return c
}

// try runs rows. The host must be unchanged after each of them.
func (b *table) try(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			r.compare(t, b.CNI(t, r.on(b.call)))
			b.unchanged(t)
		})
	}
}

// on returns the call of a row.
func (r row) on(call nettest.Call) nettest.Call {
	call.Config, call.Args = []byte(r.config), r.args
	call.Env, call.Unset = r.env, r.unset
	return call
}

// compare compares an answer with the row.
func (r row) compare(t *testing.T, a nettest.Answer) {
	t.Helper()
	if a.Exit != 1 {
		t.Fatalf("exit status %d, not 1: %s", a.Exit, a)
	}
	if len(a.Stderr) > 0 {
		t.Errorf("stderr: %s", a.Stderr)
	}
	got, err := onlyDocument(a.Stdout)
	if err != nil {
		t.Fatalf("stdout is not one CNI error: %v: %s", err, a)
	}
	want := refusal{CNIVersion: r.version, Code: r.code, Msg: r.msg, Details: got.Details}
	if want.CNIVersion == "" {
		want.CNIVersion = "1.0.0"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if got.Details == "" || !strings.Contains(got.Details, r.details) {
		t.Errorf("details are %q, they must hold %q", got.Details, r.details)
	}
}

// onlyDocument decodes stdout, which must hold one document and otherwise only white space.
func onlyDocument(stdout []byte) (refusal, error) {
	var r refusal
	dec := json.NewDecoder(bytes.NewReader(stdout))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return r, fmt.Errorf("something follows the first document: %w", err)
	}
	return r, nil
}

// unchanged compares the host and its containers with their state before the row, and takes the state now for the next
// row.
func (b *table) unchanged(t *testing.T) {
	t.Helper()
	leaks := b.Leaks()
	if len(leaks) == 0 {
		return
	}
	t.Errorf("the host is not as it was:\n%s", strings.Join(leaks, "\n"))
	b.Baseline()
}

// network returns a configuration without IPAM, with more keys; of a duplicate key the last one counts.
func network(keys ...string) string {
	return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay"` + also(keys) + `}`
}

// pool returns a configuration with a bridge "br0" and a section ipam, with more keys outside the section.
func pool(ipam string, keys ...string) string {
	return network(append([]string{`"bridge": "br0", "ipam": {"type": "patchbay"` + also([]string{ipam}) + `}`}, keys...)...)
}

// subnet returns the configuration of pool with the range 10.1.2.0/24 and more keys in the section ipam.
func subnet(ipam ...string) string {
	return pool(`"ranges": [[{"subnet": "10.1.2.0/24"}]]` + also(ipam))
}

// subnetWith returns the configuration of subnet with more keys outside the section ipam.
func subnetWith(keys string) string {
	return pool(`"ranges": [[{"subnet": "10.1.2.0/24"}]]`, keys)
}

func also(keys []string) string {
	text := ""
	for _, key := range keys {
		if key != "" {
			text += ", " + key
		}
	}
	return text
}
