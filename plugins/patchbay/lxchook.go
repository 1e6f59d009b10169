package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/hostnames"
	"github.com/patchbay-cni/patchbay/pkg/lxc"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// lxcHook is one call of the hook by LXC.
type lxcHook struct {
	network, ip, confDir string
	publish              cli.Mappings
	hostNames            bool
	call                 *lxc.Call
	out                  io.Writer
}

const lxcIfName = "eth0"

func lxcHookCommand() command {
	h := &lxcHook{}
	return command{
		name: "lxc-hook", short: "attach an LXC container (called by LXC)",
		long: `LXC calls this command when a container starts, has stopped or is destroyed: lxc.hook.start-host,
lxc.hook.stop and lxc.hook.destroy, of hook version 0 or 1. "patchbay lxc enable NAME" writes these
lines. The container gets eth0 before its init runs, and keeps address and MAC until it is
destroyed. Errors are printed on stdout, which LXC writes to its log (lxc-start -F -l DEBUG
-o /dev/stdout), and make the start fail.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&h.network, "network", "", "name of the network (default the only configured one, else "+cli.DefaultName+")")
			flags.StringVar(&h.ip, "ip", "", "IP `address` to request (comma-separated)")
			flags.Var(&h.publish, "publish", publishMeaning)
			flags.BoolVar(&h.hostNames, "host-names", false, hostNamesMeaning)
			flags.StringVar(&h.confDir, "conf-dir", cli.DefaultConfDir, "`directory` of network configurations")
		},
		runArgs: func(out io.Writer, args []string) error {
			h.out = out
			if err := h.run(args); err != nil {
				sayLine(out, "patchbay: %s", oneLine(err))
				return exitError{code: 1}
			}
			return nil
		},
	}
}

func (h *lxcHook) run(args []string) (err error) {
	if h.call, err = lxc.ParseCall(args, os.Getenv); err != nil {
		return err
	}
	defer h.syncNames()
	switch h.call.Hook {
	case "start-host":
		return h.add()
	case "stop":
		return h.del()
	}
	return errors.Join(h.forget(), hostnames.RemoveContainer(h.call.ID()))
}

// syncNames makes the hosts files true. An error is printed only: the container has its network.
func (h *lxcHook) syncNames() {
	own := hostnames.Container(h.call.ID())
	o := hostnames.Options{StateDir: config.DefaultStateDir}
	if h.hostNames && h.call.Hook == "start-host" {
		o.Ask = []hostnames.Key{own}
	}
	report, err := hostnames.Sync(context.Background(), o)
	if err != nil {
		sayLine(h.out, "patchbay: hosts files may lack names: %s", oneLine(err))
	}
	for _, w := range report.Warnings {
		if w.Key == (hostnames.Key{}) || w.Key == own {
			sayLine(h.out, "patchbay: %s", w)
		}
	}
}

// request returns the request of a runtime, with an owner that a runtime's GC does not remove.
func (h *lxcHook) request(config []byte) attach.Request {
	req := attach.Request{
		ContainerID: h.call.ID(), Netns: h.call.Netns, IfName: lxcIfName,
		Config: config, Owner: store.OwnerLXC, Path: pluginPath(),
	}
	if h.ip != "" {
		req.Args = "IP=" + h.ip
	}
	return req
}

// pluginPath returns the directories of IPAM plugins: that of this program, and those of runtimes.
func pluginPath() string {
	const usual = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni"
	self, err := os.Executable()
	if err != nil {
		return usual
	}
	return filepath.Dir(self) + ":" + usual
}

// find returns the network: a configured one, the default one, or with --ip that of a bridge.
func (h *lxcHook) find() (*cli.Network, error) {
	n, err := cli.FindForHook(h.confDir, h.network)
	if h.network == "" || !errors.Is(err, cli.ErrNoNetwork) {
		return n, err
	}
	ips, failed := cli.ParseIPs(h.ip)
	if failed != nil {
		return nil, failed
	}
	return cli.FindOrBridge(h.confDir, h.network, ips)
}

func (h *lxcHook) add() error {
	n, err := h.find()
	if err != nil {
		return err
	}
	if len(n.Others) > 0 {
		sayLine(h.out, "patchbay: network %[2]s: other plugins of the list are not called: %[1]v", n.Others, n.Name)
	}
	if err := n.Publish(h.publish); err != nil {
		return err
	}
	ctx := interruptible()
	req := h.request(lxc.Sticky(n.Config))
	add := func(req attach.Request) error { return attach.Add(ctx, req, io.Discard) }
	e := logged("ADD", req, add)
	if e == nil || e.Code != attach.CodeIDInUse || !h.hasEnded(n) {
		return attach.CommandErrorOf(e)
	}
	if e = logged("DEL", req, func(req attach.Request) error { return attach.Del(context.Background(), req) }); e == nil {
		e = logged("ADD", req, add)
	}
	return attach.CommandErrorOf(e)
}

// hasEnded reports whether the attachment of this container on a network is of a run that was killed without a hook, and
// whose network namespace the kernel has not deleted yet.
func (h *lxcHook) hasEnded(n *cli.Network) bool {
	attached := lxc.Attached(config.ParseLenient(n.Config).StateDir, h.call.ID(), lxcIfName)
	return slices.ContainsFunc(attached, func(e store.Entry) bool { return e.Key.Network == n.Name && lxc.HasEnded(e) })
}

// del uses the records too: the network of the hook's line or of the directory may have changed since the ADD.
func (h *lxcHook) del() error {
	configs := map[string][]byte{}
	stateDir := config.DefaultStateDir
	if n, err := cli.FindForHook(h.confDir, h.network); err == nil {
		configs[n.Name] = n.Config
		stateDir = config.ParseLenient(n.Config).StateDir
	}
	names := []string{h.network}
	for _, e := range lxc.Attached(stateDir, h.call.ID(), lxcIfName) {
		names = append(names, e.Key.Network)
	}
	for _, name := range names {
		if name == "" || configs[name] != nil {
			continue
		}
		text, err := json.Marshal(map[string]string{"cniVersion": "1.1.0", "name": name, "type": config.TypeName, "stateDir": stateDir})
		if err != nil {
			return err
		}
		configs[name] = text
	}
	ctx := context.WithoutCancel(interruptible()) // Ctrl-C at lxc-start reaches this process too
	var failed error
	for _, text := range configs {
		e := logged("DEL", h.request(text), func(req attach.Request) error { return attach.Del(ctx, req) })
		failed = errors.Join(failed, attach.CommandErrorOf(e))
	}
	return failed
}

// forget deletes the sticky addresses of a container that was destroyed.
func (h *lxcHook) forget() error {
	name, id := h.network, config.ParseLenient(nil)
	if n, err := cli.FindForHook(h.confDir, h.network); err == nil {
		name, id = n.Name, config.ParseLenient(n.Config)
	}
	if !config.ValidName(name) {
		return nil // a network without a name has no sticky addresses
	}
	key := store.Key{Network: name, ContainerID: h.call.ID(), IfName: lxcIfName}
	return store.DeleteSticky(context.Background(), store.Dirs{State: id.StateDir, Data: id.DataDir, Shared: id.SharedDir()}, key, key.ContainerID)
}
