package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/interrupt"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// lxcHook is one call of the hook by LXC.
type lxcHook struct {
	network, ip, confDir string
	publish              cli.Mappings
	call                 *cli.LXCCall
	out                  io.Writer
}

const lxcIfName = "eth0"

func lxcHookCommand() command {
	h := &lxcHook{}
	return command{
		name: "lxc-hook", short: "attach an LXC container; LXC calls it",
		long: `LXC calls this when a container starts, has stopped or is destroyed: lxc.hook.start-host,
lxc.hook.stop and lxc.hook.destroy, of hook version 0 or 1. "patchbay lxc enable NAME" writes
these lines. The container gets eth0 before its init runs, and has the same address and MAC
each time until it is destroyed. What goes wrong is told on stdout, because LXC keeps that in
its log (lxc-start -F -l DEBUG -o /dev/stdout), and a start fails with it.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&h.network, "network", "", "name of the network (default the only one there is)")
			flags.StringVar(&h.ip, "ip", "", "address that the container is to have; two with a comma between them")
			flags.Var(&h.publish, "publish", publishMeaning)
			flags.StringVar(&h.confDir, "conf-dir", cli.DefaultConfDir, "where the networks are")
		},
		runArgs: func(out io.Writer, args []string) error {
			h.out = out
			if err := h.run(args); err != nil {
				fmt.Fprintln(out, "patchbay:", strings.ReplaceAll(err.Error(), "\n", "; "))
				return exitError{code: 1}
			}
			return nil
		},
	}
}

func (h *lxcHook) run(args []string) (err error) {
	if h.call, err = cli.ParseLXCCall(args, os.Getenv); err != nil {
		return err
	}
	switch h.call.Hook {
	case "start-host":
		return h.add()
	case "stop":
		return h.del()
	}
	return h.forget()
}

// request is what a runtime would ask for; the owner keeps a runtime's GC away.
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

// pluginPath is where other IPAM plugins are: beside this program, and where runtimes look.
func pluginPath() string {
	const usual = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni"
	self, err := os.Executable()
	if err != nil {
		return usual
	}
	return filepath.Dir(self) + ":" + usual
}

func (h *lxcHook) add() error {
	n, err := cli.Find(h.confDir, h.network)
	if err != nil {
		return err
	}
	if len(n.Others) > 0 {
		fmt.Fprintf(h.out, "patchbay: plugins %v of network %s are not called for LXC\n", n.Others, n.Name)
	}
	if err := n.Publish(h.publish); err != nil {
		return err
	}
	ctx, _ := interrupt.Catch() // to the end of the process, see add
	req := h.request(n.Sticky())
	add := func(req attach.Request) error { return attach.Add(ctx, req, io.Discard) }
	e := logged("ADD", req, add)
	if e == nil || e.Code != attach.CodeAliveElsewhere || !h.isOver(n) {
		return inWords(e)
	}
	if e = logged("DEL", req, func(req attach.Request) error { return attach.Del(context.Background(), req) }); e == nil {
		e = logged("ADD", req, add)
	}
	return inWords(e)
}

// isOver reports whether what this container has on a network is of a life that was killed, without
// a hook, and that the kernel has not buried yet.
func (h *lxcHook) isOver(n *cli.Network) bool {
	attached := cli.Attached(config.ParseLenient(n.Config).StateDir, h.call.ID(), lxcIfName)
	return slices.ContainsFunc(attached, func(e store.Entry) bool { return e.Key.Network == n.Name && cli.IsOver(e) })
}

// del goes by the records too: which network the line or the directory names may have changed.
func (h *lxcHook) del() error {
	configs := map[string][]byte{}
	stateDir := config.DefaultStateDir
	if n, err := cli.Find(h.confDir, h.network); err == nil {
		configs[n.Name] = n.Config
		stateDir = config.ParseLenient(n.Config).StateDir
	}
	names := []string{h.network}
	for _, e := range cli.Attached(stateDir, h.call.ID(), lxcIfName) {
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
	var failed error
	for _, text := range configs {
		e := logged("DEL", h.request(text), func(req attach.Request) error { return del(req, io.Discard) })
		failed = errors.Join(failed, inWords(e))
	}
	return failed
}

// forget is for a container that will not come back.
func (h *lxcHook) forget() error {
	name, id := h.network, config.ParseLenient(nil)
	if n, err := cli.Find(h.confDir, h.network); err == nil {
		name, id = n.Name, config.ParseLenient(n.Config)
	}
	if !config.ValidName(name) {
		return nil // nothing is remembered in a network that has no name
	}
	key := store.Key{Network: name, ContainerID: h.call.ID(), IfName: lxcIfName}
	return store.ForgetOwner(context.Background(), store.Dirs{State: id.StateDir, Data: id.DataDir}, key, key.ContainerID)
}

// inWords is an error of a verb for a person: what is wrong, and what helps.
func inWords(e *types.Error) error {
	if e == nil {
		return nil
	}
	return fmt.Errorf("%s; %s", e.Msg, e.Details)
}
