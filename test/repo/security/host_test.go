package security

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// network returns a network "net" with a gateway and sticky addresses; keys are added or replaced.
func network(more ...cni.Conf) cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.IPAM(cni.Conf{"sticky": true, "subnet": "10.1.2.0/24"})).With(more...)
}

// attachment is one interface of one container, and the calls a runtime makes for it.
type attachment struct {
	h    *nettest.Node
	call nettest.Call
	conf cni.Conf
	prev json.RawMessage // what ADD printed
}

// on is eth0 of a container; nothing happens yet. Its ID is short, so that paths can be read.
func on(t *testing.T, h *nettest.Node, c *nettest.Container, network cni.Conf) *attachment {
	t.Helper()
	path := "/nowhere"
	if main, _ := network["type"].(string); main != "patchbay" { // which calls us as its IPAM plugin
		path = filepath.Dir(nettest.Program(t, main))
	}
	return &attachment{h: h, conf: network, call: nettest.Call{
		ContainerID: c.Name(), Netns: c.Path(), IfName: "eth0", Path: path, Plugin: nettest.Patchbay(t),
	}}
}

// run makes one call; CHECK and DEL get the result of the last ADD, GC a list that keeps nothing.
func (a *attachment) run(t testing.TB, verb string) nettest.Answer {
	t.Helper()
	answer := a.h.CNI(t, a.prepared(t, verb))
	if verb == "ADD" && answer.Exit == 0 {
		a.prev = answer.Stdout
	}
	return answer
}

func (a *attachment) prepared(t testing.TB, verb string) nettest.Call {
	t.Helper()
	config := a.conf.With()
	if a.prev != nil && (verb == "CHECK" || verb == "DEL") {
		config["prevResult"] = a.prev
	}
	if verb == "GC" {
		config["cni.dev/valid-attachments"] = []cni.Conf{}
	}
	call := a.call
	call.Command, call.Config = verb, config.JSON(t)
	return call
}

// installed is a copy of the plugin where everybody on the host can run it.
func installed(t testing.TB, h *nettest.Node) string {
	t.Helper()
	const path = "/var/lib/bin/patchbay"
	h.Run(t, "install", "-D", "-m", "0755", nettest.Patchbay(t), path)
	return path
}

// wrapped is a program that does something and then becomes the plugin.
func wrapped(t testing.TB, h *nettest.Node, format string, args ...any) string {
	t.Helper()
	return nettest.Script(t, fmt.Sprintf(format, args...)+" "+nettest.Patchbay(t))
}

// tree is everything below a directory of the host: type, mode, owner, and whatever is asked for.
func tree(t testing.TB, h *nettest.Node, root string, describe func(path string, info fs.FileInfo) string) map[string]string {
	t.Helper()
	out := map[string]string{}
	h.Do(func() {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				out[path] = describe(path, info)
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	})
	return out
}

// modeAndOwner is "drwx------ 0:0".
func modeAndOwner(_ string, info fs.FileInfo) string {
	st, _ := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d", info.Mode(), st.Uid, st.Gid)
}

// everything is what a write, a truncation, a chmod or a replacement would change.
func everything(path string, info fs.FileInfo) string {
	st, _ := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%s inode %d", modeAndOwner(path, info), st.Ino)
	if info.Mode().IsRegular() {
		content, err := os.ReadFile(path)
		text += fmt.Sprintf(" mtime %d.%d %q %v", st.Mtim.Sec, st.Mtim.Nsec, content, err)
	}
	return text
}
