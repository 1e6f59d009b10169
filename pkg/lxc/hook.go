package lxc

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

// ErrNotHook is wrapped by errors about a call that is not LXC's.
var ErrNotHook = errors.New("not called by LXC: this command is for lxc.hook.start-host, lxc.hook.stop and lxc.hook.destroy; patchbay lxc enable NAME writes these lines")

// Call is one call of a hook by LXC.
type Call struct {
	Container
	Hook  string // start-host, stop, destroy
	Netns string // path of the container's network namespace; "" if LXC does not pass it
}

// ParseCall reads arguments and environment of a hook (lxc.container.conf(5)): of version 0, with the
// arguments NAME, SECTION, HOOK and more, or of version 1, with LXC_HOOK_TYPE. Errors wrap ErrNotHook, but
// for a container that has ended.
func ParseCall(args []string, env func(string) string) (*Call, error) {
	c := &Call{Container: Container{Name: env("LXC_NAME"), Path: pathOf(env)}, Hook: env("LXC_HOOK_TYPE")}
	if len(args) >= 3 && env("LXC_HOOK_VERSION") != "1" {
		c.Hook = args[2]
		if c.Name == "" {
			c.Name = args[0]
		}
	}
	if c.Name == "" || c.Hook == "" {
		return nil, ErrNotHook
	}
	switch c.Hook {
	case "start-host":
		// LXC_NET_NS is "none" here, or after a reboot from inside the namespace before the reboot.
		return c, c.findNetns(env("LXC_PID"))
	case "stop":
		c.Netns = env("LXC_NET_NS")
		return c, nil
	case "destroy":
		return c, nil
	}
	return nil, fmt.Errorf("lxc.hook.%s: %w", c.Hook, ErrNotHook)
}

// pathOf returns the directory of containers: the parent of the directory that holds the configuration. A
// container without a configuration file is identified by its root file system.
func pathOf(env func(string) string) string {
	if path := env("LXC_CONFIG_FILE"); path != "" {
		return filepath.Dir(filepath.Dir(path))
	}
	return env("LXC_ROOTFS_PATH")
}

func (c *Call) findNetns(pid string) error {
	if pid == "" {
		return fmt.Errorf("LXC_PID is not set: %w", ErrNotHook)
	}
	c.Netns = filepath.Join("/proc", pid, "ns/net")
	if _, err := os.Stat(c.Netns); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("process %s of container %s (LXC_PID) has ended", pid, c.Name)
	}
	return nil
}

// Sticky returns a network's configuration with "sticky": true, so that the built-in IPAM gives a container
// the same address after a restart. A configuration that sets the key, or has another IPAM plugin, stays.
func Sticky(conf []byte) []byte {
	var plugin, ipam map[string]json.RawMessage
	if json.Unmarshal(conf, &plugin) != nil || json.Unmarshal(plugin["ipam"], &ipam) != nil {
		return conf // layer 2 only, or invalid: ADD reports it
	}
	if _, set := ipam["sticky"]; set || string(ipam["type"]) != `"`+config.TypeName+`"` {
		return conf
	}
	ipam["sticky"] = json.RawMessage("true")
	text, err := json.Marshal(ipam)
	if err != nil {
		return conf
	}
	plugin["ipam"] = text
	if text, err = json.Marshal(plugin); err != nil {
		return conf
	}
	return text
}

// Attached returns the records of a container's interface in a state directory, on any network.
func Attached(stateDir, containerID, ifName string) []store.Entry {
	entries, _ := store.List(stateDir) // without it, what cannot be read has no record
	return slices.DeleteFunc(entries, func(e store.Entry) bool {
		return e.Key.ContainerID != containerID || e.Key.IfName != ifName
	})
}

// HasEnded reports whether the container's process has ended whose network namespace an attachment is in.
// The kernel deletes the namespace, and the veth pair with it, some time after that.
func HasEnded(e store.Entry) bool {
	if e.Record == nil || e.Record.Owner != store.OwnerLXC {
		return false
	}
	_, err := os.Stat(e.Record.Netns)
	return errors.Is(err, os.ErrNotExist)
}
