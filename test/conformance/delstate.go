package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// delWithoutNetns attaches a container, deletes its namespace, and calls DEL with CNI_NETNS as given: "empty", "unset" or "path".
func delWithoutNetns(t *trial, how string, names ...string) {
	config := t.conf(t.variantsOf(names)...)
	t.resident(config)
	c, r := t.attach("c", config)
	call := t.call("DEL", c, config)
	if !older(t.version, "0.4.0") {
		call.Config = text(withPrev(config, r))
	}
	c.Delete()
	switch how {
	case "empty":
		call.Netns = ""
	case "unset":
		call.Unset = []string{"CNI_NETNS"}
	}
	t.succeeds(t.do(call), "DEL")
}

func delNetnsFile(t *trial) {
	t.resident(t.conf())
	c, _ := t.attach("c", t.conf())
	call := t.call("DEL", c, t.conf())
	c.Delete()
	t.host.Do(func() { _ = os.WriteFile(call.Netns, nil, 0o444) })
	defer t.host.Do(func() { _ = os.Remove(call.Netns) })
	t.succeeds(t.do(call), "DEL")
	t.host.Do(func() { _ = os.Remove(call.Netns) })
	t.clean("DEL")
}

func delEmptyLive(t *trial) {
	c := t.newcomer(t.conf())
	t.add(c, t.conf())
	call := t.call("DEL", c, t.conf())
	call.Netns = ""
	t.succeeds(t.do(call), "DEL")
	t.clean("DEL")
}

func delBridgeAbsent(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.remove(t.host.Netns, t.profile().Bridge)
	t.del(c, t.conf())
	if has(c.Netns, "eth0") {
		t.Fatalf("DEL leaves the interface")
	}
}

// files calls f with every file of the plugin that is not a directory.
func (t *trial) files(f func(path string) error) {
	var err error
	t.host.Do(func() {
		for _, dir := range t.profile().Directories {
			_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, walk error) error {
				if walk == nil && d.Type().IsRegular() && err == nil {
					err = f(path)
				}
				return nil
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func delStateAbsent(t *trial) { delFiles(t, os.Remove) }

func delStateEmpty(t *trial) { delFiles(t, func(path string) error { return os.Truncate(path, 0) }) }

func delFiles(t *trial, f func(string) error) {
	c, _ := t.attach("c", t.conf())
	t.files(f)
	t.del(c, t.conf())
	if has(c.Netns, "eth0") {
		t.Fatalf("DEL leaves the interface")
	}
	if t.profile().HostInterface && t.hasVeth() {
		t.Fatalf("DEL leaves the host interface")
	}
}

// hasVeth reports whether the host has a veth interface.
func (t *trial) hasVeth() bool {
	for _, name := range t.linkNames(t.host.Netns) {
		if t.link(t.host.Netns, name).Type() == "veth" {
			return true
		}
	}
	return false
}

func delPoolChanged(t *trial) {
	c := t.newcomer(t.conf())
	t.add(c, t.conf())
	t.del(c, t.conf(t.variant("otherPool")))
	t.clean("DEL")
}

func delAfterFailed(t *trial) { t.del(t.addToTaken(), t.conf()) }

// cleanBut is clean without the container c: DEL may delete the interface of its name.
func (t *trial) cleanBut(after string) {
	t.compare(after, func(line string) bool { return t.shared(line) || strings.Contains(line, "container c: ") })
}

// intactBut is intact without the container c.
func (t *trial) intactBut(after string) {
	t.compare(after, func(line string) bool {
		return t.shared(line) || strings.HasPrefix(line, "+ ") || strings.Contains(line, "container c: ")
	})
}
