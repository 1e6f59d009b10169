package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ErrNotLXC is wrapped where the hook is called, and not by LXC.
var ErrNotLXC = errors.New("this is a hook for LXC to call, in lxc.hook.start-host, lxc.hook.stop and lxc.hook.destroy; patchbay lxc enable NAME writes these lines")

// LXCCall is one call of a hook.
type LXCCall struct {
	LXC
	Hook  string // start-host, stop, destroy
	Netns string // of the container that starts, or has stopped; "" if it is not told
}

// ParseLXCCall reads the call of a hook, of version 0 (arguments NAME, SECTION, HOOK and more) or 1
// (LXC_HOOK_TYPE). Errors that wrap ErrNotLXC say that it is none.
func ParseLXCCall(args []string, env func(string) string) (*LXCCall, error) {
	c := &LXCCall{LXC: LXC{Name: env("LXC_NAME"), Path: lxcPathOf(env)}, Hook: env("LXC_HOOK_TYPE")}
	if len(args) >= 3 && env("LXC_HOOK_VERSION") != "1" {
		c.Hook = args[2]
		if c.Name == "" {
			c.Name = args[0]
		}
	}
	if c.Name == "" || c.Hook == "" {
		return nil, ErrNotLXC
	}
	switch c.Hook {
	case "start-host":
		// LXC_NET_NS is none, or after a reboot from inside that of the life before.
		return c, c.findNetns(env("LXC_PID"))
	case "stop":
		c.Netns = env("LXC_NET_NS")
		return c, nil
	case "destroy":
		return c, nil
	}
	return nil, fmt.Errorf("lxc.hook.%s: %w", c.Hook, ErrNotLXC)
}

// lxcPathOf is the directory of containers: that of the container's own directory, where its
// configuration is. A container without one is known by its root file system.
func lxcPathOf(env func(string) string) string {
	if path := env("LXC_CONFIG_FILE"); path != "" {
		return filepath.Dir(filepath.Dir(path))
	}
	return env("LXC_ROOTFS_PATH")
}

func (c *LXCCall) findNetns(pid string) error {
	if pid == "" {
		return fmt.Errorf("LXC_PID is not set: %w", ErrNotLXC)
	}
	c.Netns = filepath.Join("/proc", pid, "ns/net")
	if _, err := os.Stat(c.Netns); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("container %s has no process %s any more (LXC_PID)", c.Name, pid)
	}
	return nil
}

// Sticky is a network's configuration in which the built-in IPAM remembers who had which address, if
// the configuration does not say itself whether it should.
func (n *Network) Sticky() []byte {
	var plugin, ipam map[string]json.RawMessage
	if json.Unmarshal(n.Config, &plugin) != nil || json.Unmarshal(plugin["ipam"], &ipam) != nil {
		return n.Config // layer 2 only, or what the verb will say is wrong
	}
	if _, says := ipam["sticky"]; says || string(ipam["type"]) != `"`+config.TypeName+`"` {
		return n.Config
	}
	ipam["sticky"] = json.RawMessage("true")
	text, err := json.Marshal(ipam)
	if err != nil {
		return n.Config
	}
	plugin["ipam"] = text
	if text, err = json.Marshal(plugin); err != nil {
		return n.Config
	}
	return text
}

// Attached are the records of a container's interface in a state directory, of whatever network.
func Attached(stateDir, containerID, ifName string) []store.Entry {
	entries, _ := store.List(stateDir) // what cannot be read is not known
	return slices.DeleteFunc(entries, func(e store.Entry) bool {
		return e.Key.ContainerID != containerID || e.Key.IfName != ifName
	})
}

// IsOver reports whether the process has ended whose namespace an attachment of LXC is in. The
// kernel takes the cable away some time after that.
func IsOver(e store.Entry) bool {
	if e.Record == nil || e.Record.Owner != store.OwnerLXC {
		return false
	}
	_, err := os.Stat(e.Record.Netns)
	return errors.Is(err, os.ErrNotExist)
}
