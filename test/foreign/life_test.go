package foreign

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const (
	gives   = `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]}'`
	refuses = `{"cniVersion": "1.0.0", "code": 11, "msg": "the server is asleep", "details": "wake it"}`
)

func fake() conf { return network(conf{"type": "fake", "dataDir": 7, "subnet": "its own business"}) }

// scripted is a scene with a fake IPAM.
func scripted(t *testing.T, commands string) *scene {
	t.Helper()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), fake())
	s.script(commands)
	return s
}

// TestVerbsAreForwarded: each once, with the same environment and all of the configuration, and nothing else open.
func TestVerbsAreForwarded(t *testing.T) {
	t.Parallel()
	s := scripted(t, `d=$CNI_PATH; env >"$d/env.$CNI_COMMAND"; cat >"$d/in.$CNI_COMMAND"; ls /proc/$$/fd >"$d/fd.$CNI_COMMAND"`+"\n"+gives)
	s.env = []string{"OTHER=kept"}
	open := s.openFiles()
	s.add()
	list := map[string]any{"cni.dev/valid-attachments": []conf{{"containerID": s.c.ID(), "ifname": "eth0"}}}
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

// openFiles are those of the fake when the runtime calls it itself.
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

// TestDeadAttachmentIsAskedAnew: an ADD over one whose cable is gone frees its addresses first.
func TestDeadAttachmentIsAskedAnew(t *testing.T) {
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

// TestDelWithoutThePlugin passes where nothing is known to be reserved; else it says what to do, and does it later.
func TestDelWithoutThePlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.add()
	s.link("fake", "/nowhere")
	e := s.fails("DEL", codeIPAM, "the addresses of this attachment are not freed", "IPAM plugin fake", "is in no directory of CNI_PATH")
	expect.Contains(t, e.Details, "install the IPAM plugin again")
	expect.Contains(t, s.record(), `"ipam": "done"`)
	s.script(gives)
	s.ok("DEL")
	expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
	s.nothingLeft()
	s.link("fake", "/nowhere")
	expect.Contains(t, string(s.run("DEL").OK(t).Stderr), "IPAM plugin fake is in no directory of CNI_PATH", "nothing is known to be reserved")
}

// TestDelThatFailsKeepsTheRecord, and a later one succeeds; also with a configuration that is cut off in the middle.
func TestDelThatFailsKeepsTheRecord(t *testing.T) {
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

// TestDelAsksTheRecordedPlugin, whatever the configuration says by now.
func TestDelAsksTheRecordedPlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.add()
	s.conf = network(hostLocal())
	expect.Contains(t, s.fails("CHECK", 106).Msg, `the addresses are of IPAM "fake", the configuration has "host-local" now`)
	s.ok("DEL")
	expect.Equal(t, "calls", s.calls(), []string{"ADD", "DEL"})
	s.nothingLeft()
}

// TestErrorsAreForwarded, as they are, of CHECK, STATUS and GC.
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

// TestStatusWithoutThePlugin: no ADD could pass.
func TestStatusWithoutThePlugin(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.link("fake", "/nowhere")
	s.fails("STATUS", 50, "no container can be attached", "IPAM plugin fake is in no directory of CNI_PATH")
}

// TestGCOfAnotherIPAM frees what is not valid, also with a plugin that does nothing for a GC, as those of v1.9.1, and keeps the rest.
func TestGCOfAnotherIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	keep := on(t, h, h.Container("keep"), network(hostLocal()))
	lost := on(t, h, h.Container("lost"), network(hostLocal()))
	keep.add()
	lost.add()
	expect.Equal(t, "addresses", len(keep.glob(sharedDir+"/10.1.0.*")), 2)
	keep.conf["cni.dev/valid-attachments"] = []conf{{"containerID": keep.c.ID(), "ifname": "eth0"}}
	keep.ok("GC")
	expect.Equal(t, "addresses", len(keep.glob(sharedDir+"/10.1.0.*")), 1)
	expect.Equal(t, "records", len(keep.records()), 1)
	keep.ok("CHECK")
	keep.ok("DEL")
	keep.nothingLeft()
}

// TestGCWithoutListIsNotForwarded: the runtime said nothing about what is valid.
func TestGCWithoutListIsNotForwarded(t *testing.T) {
	t.Parallel()
	s := scripted(t, gives)
	s.ok("GC")
	expect.Equal(t, "calls", s.calls(), nil)
}
