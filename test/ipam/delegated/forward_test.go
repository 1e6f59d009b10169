package delegated

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	gives   = `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]}'`
	refuses = `{"cniVersion": "1.0.0", "code": 11, "msg": "the server is asleep", "details": "wake it"}`
)

func fake() cni.Conf {
	return withIPAM(cni.Conf{"type": "fake", "dataDir": 7, "subnet": "its own business"})
}

// scripted returns a scene with a fake IPAM plugin.
func scripted(t *testing.T, commands string) *scene {
	t.Helper()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), fake())
	s.script(commands)
	return s
}

// TestVerbsAreForwarded: each verb is called once, with the same environment and the whole configuration, and no
// additional open files.
//
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
// Claim: GC releases addresses of another IPAM plugin and forwards GC to it; valid attachments stay
func TestVerbsAreForwarded(t *testing.T) {
	t.Parallel()
	s := scripted(t, `d=$CNI_PATH; env >"$d/env.$CNI_COMMAND"; cat >"$d/in.$CNI_COMMAND"; ls /proc/$$/fd >"$d/fd.$CNI_COMMAND"`+"\n"+gives)
	s.env = []string{"OTHER=kept"}
	open := s.openFiles()
	s.add()
	list := map[string]any{"cni.dev/valid-attachments": []cni.Conf{{"containerID": s.c.ID(), "ifname": "eth0"}}}
	for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
		if verb == "GC" {
			s.conf["cni.dev/valid-attachments"] = list["cni.dev/valid-attachments"]
		}
		want := s.call(verb).Config
		if verb == "ADD" {
			want, _ = json.Marshal(s.conf)
		} else {
			s.ok(verb)
		}
		expect.Equal(t, "calls of "+verb, s.calls(), []string{verb})
		read := func(name string) string {
			text, _ := os.ReadFile(filepath.Join(s.bin, name+"."+verb))
			return string(text)
		}
		expect.Equal(t, "open files of "+verb, read("fd"), open)
		expect.Equal(t, "input of "+verb, read("in"), string(want))
		expect.Contains(t, read("env"), "CNI_COMMAND="+verb, "CNI_PATH="+s.bin, "OTHER=kept")
	}
	s.nothingLeft()
}

// openFiles returns the open files of the fake when the runtime calls it itself.
func (s *scene) openFiles() string {
	s.t.Helper()
	call := s.call("BARE")
	call.Plugin = filepath.Join(s.bin, "fake")
	s.h.CNI(s.t, call)
	s.calls()
	text, err := os.ReadFile(filepath.Join(s.bin, "fd.BARE"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// TestStaleAttachmentReleasesAddressFirst: ADD of a stale attachment has the plugin release the old addresses first.
//
// Claim: An ADD over a stale attachment lets its IPAM plugin release the addresses, then allocates again
func TestStaleAttachmentReleasesAddressFirst(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.h.Run(t, "ip", "link", "del", s.add().Interfaces[1].Name)
	s.calls()
	s.add()
	expect.Equal(t, "calls", s.calls(), []string{"DEL", "ADD"})
	s.fails("ADD", 100)
	expect.Equal(t, "calls", s.calls(), nil)
	s.ok("CHECK")
	s.ok("DEL")
	s.nothingLeft()
}

// TestDelWithoutThePlugin: DEL succeeds if no address is known to be reserved; otherwise it fails with a remedy, and
// succeeds once the plugin is there.
//
// Claim: DEL calls the recorded IPAM plugin; if that fails DEL keeps the record, and without the program the error says what to install
func TestDelWithoutThePlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.add()
	s.link("fake", "/nowhere")
	e := s.fails("DEL", codeIPAM, "addresses of this attachment not released", "IPAM plugin fake", "not found in CNI_PATH")
	expect.Contains(t, e.Details, "install the IPAM plugin again")
	expect.Contains(t, s.record(), `"ipam": "done"`)
	s.script(gives)
	s.ok("DEL")
	expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
	s.nothingLeft()
	s.link("fake", "/nowhere")
	expect.Contains(t, string(s.run("DEL").OK(t).Stderr), "IPAM plugin fake: not found in CNI_PATH", "assuming that it reserved no address")
}

// TestFailedDelKeepsTheRecord: a later DEL succeeds, also with a truncated configuration.
//
// Claim: DEL calls the recorded IPAM plugin; if that fails DEL keeps the record, and without the program the error says what to install
func TestFailedDelKeepsTheRecord(t *testing.T) {
	t.Parallel()
	s := scripted(t, `[ "$CNI_COMMAND" != DEL ] || { echo '`+refuses+`'; exit 1; }`+"\n"+gives)
	s.add()
	expect.Contains(t, s.fails("DEL", 11, "fake", "the server is asleep").Details, "wake it")
	expect.Contains(t, s.record(), `"10.1.0.2/24"`)
	s.script(gives)
	call := s.call("DEL")
	call.Config = []byte(`{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "ipam": {"type": "fake"}, "prevRes`)
	s.h.CNI(t, call).OK(t)
	expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL", "DEL"})
	s.nothingLeft()
}

// TestDelCallsTheRecordedPlugin: DEL calls the plugin of the record, whatever the configuration says now.
//
// Claim: DEL calls the recorded IPAM plugin; if that fails DEL keeps the record, and without the program the error says what to install
func TestDelCallsTheRecordedPlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.add()
	s.conf = withIPAM(hostLocal())
	expect.Contains(t, s.fails("CHECK", 106).Msg, `IPAM plugin "fake" assigned the addresses, the configuration now has "host-local"`)
	s.ok("DEL")
	expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
	s.nothingLeft()
}

// TestErrorsAreForwarded: errors of CHECK, STATUS and GC are returned unchanged.
//
// Claim: An IPAM plugin is called once per verb, with the same environment and the complete configuration; its errors are passed on
func TestErrorsAreForwarded(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"CHECK", "STATUS", "GC"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, `[ "$CNI_COMMAND" != `+verb+` ] || { echo '`+refuses+`'; exit 1; }`+"\n"+gives)
			s.add()
			s.conf["cni.dev/valid-attachments"] = nil
			expect.Contains(t, s.fails(verb, 11, "IPAM plugin fake ("+s.bin+"/fake): the server is asleep").Details, "wake it")
			s.ok("DEL")
			s.nothingLeft()
		})
	}
}

// TestStatusWithoutThePlugin: STATUS fails because every ADD would.
//
// Claim: An IPAM plugin that is missing, not executable or of another architecture is named in the error, and nothing is changed
func TestStatusWithoutThePlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.link("fake", "/nowhere")
	s.fails("STATUS", 50, "no container can be attached", "IPAM plugin fake: not found in CNI_PATH")
}

// TestGCOfAnotherIPAM: GC releases the addresses of attachments that are not valid and keeps the others, also with a
// plugin that does nothing for GC, as those of v1.9.1.
//
// Claim: GC releases addresses of another IPAM plugin and forwards GC to it; valid attachments stay
func TestGCOfAnotherIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	keep := on(t, h, h.Container("keep"), withIPAM(hostLocal()))
	lost := on(t, h, h.Container("lost"), withIPAM(hostLocal()))
	keep.add()
	lost.add()
	expect.Equal(t, "addresses", len(keep.glob(sharedDir+"/10.1.0.*")), 2)
	keep.conf["cni.dev/valid-attachments"] = []cni.Conf{{"containerID": keep.c.ID(), "ifname": "eth0"}}
	keep.ok("GC")
	expect.Equal(t, "addresses", len(keep.glob(sharedDir+"/10.1.0.*")), 1)
	expect.Equal(t, "records", len(keep.records()), 1)
	keep.ok("CHECK")
	keep.ok("DEL")
	keep.nothingLeft()
}

// TestGCWithoutListIsNotForwarded: the configuration does not say which attachments are valid.
//
// Claim: GC releases addresses of another IPAM plugin and forwards GC to it; valid attachments stay
func TestGCWithoutListIsNotForwarded(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.ok("GC")
	expect.Equal(t, "calls", s.calls(), nil)
}
