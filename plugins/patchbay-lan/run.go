package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/host"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
)

// hostFlags say which host this is, and where its network configuration is.
type hostFlags struct {
	node, confDir, stateDir, bridge, template string
}

func (f *hostFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.node, "node", "", "`name` of this host in etcd (default: its hostname)")
	flags.StringVar(&f.confDir, "conf-dir", "/etc/cni/net.d", "`directory` of network configurations")
	flags.StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, "`directory` of the plugin's state")
	flags.StringVar(&f.bridge, "bridge", "br0", "`name` of the bridge that has the host's interface on the LAN as a port")
	flags.StringVar(&f.template, "template", "", "`file` with a conflist that gets the name and the addresses, instead of --bridge")
}

// host returns the host for a network.
func (f *hostFlags) host(network string) (*host.Host, error) {
	if err := checkNetwork(network); err != nil {
		return nil, err
	}
	h := &host.Host{Network: network, ConfDir: f.confDir, StateDir: f.stateDir, Template: lan.DefaultTemplate(f.bridge)}
	if f.template == "" {
		return h, nil
	}
	text, err := safefile.Read(f.template, safefile.Rules{FollowLinks: true})
	if err == nil {
		h.Template, err = lan.ParseTemplate(text)
	}
	if err != nil {
		return nil, fmt.Errorf("--template %s: %w", f.template, err)
	}
	return h, nil
}

type runFlags struct {
	etcdFlags
	hostFlags
	forgetAfter time.Duration
}

func runLANCommand() command {
	f := &runFlags{}
	return command{
		name: "run", takes: "NETWORK", words: 1, short: "keep the blocks of this host, until a signal",
		long: `Claims a block of addresses for this host, and writes CONF-DIR/NETWORK.patchbay-lan.conflist, a
network of Patchbay with the addresses of its blocks. When fewer than 16 addresses are free it claims
one more block, up to 20; a block that stays empty is released. An ADD of the plugin asks nobody, and
goes on while etcd does not answer.

The file does not exist
- from the start until etcd has confirmed the blocks of this host;
- when etcd has not answered for half of --forget-after, until it answers again;
- after the end: SIGTERM and SIGINT end it with status 0.
Then no container gets an address. Running containers keep theirs.

Under systemd it says when it is ready (sd_notify(3)), which is when the file of an earlier start is
removed. The status is in ` + lan.Dir + `/NETWORK.json; problems are printed when they change.`,
		flags: func(flags *flag.FlagSet) {
			flags.DurationVar(&f.forgetAfter, "forget-after", 24*time.Hour, "`time` after which others may claim the blocks of this host, if it does not reach etcd")
			f.hostFlags.register(flags)
			f.etcdFlags.register(flags)
		},
		run: f.run,
	}
}

// minForgetAfter leaves a renewal some time to fail and to be repeated.
const minForgetAfter = 10 * time.Second

func (f *runFlags) run(out io.Writer, args []string) error {
	h, err := f.host(args[0])
	if err != nil {
		return err
	}
	if f.forgetAfter < minForgetAfter {
		return fmt.Errorf("--forget-after: use at least %s", minForgetAfter)
	}
	lock, err := h.Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := errors.Join(h.Remove(), h.RemoveStatus()); err != nil {
		return err
	}
	self, err := host.Self(f.node)
	if err == nil {
		err = h.CheckOthers()
	}
	if err != nil {
		return err
	}
	etcd := registry.New(f.etcdFlags.connect, args[0], self, f.forgetAfter)
	r := lan.NewRunner(lan.Options{
		Network: args[0], Self: self, Registry: explained{etcd, &f.etcdFlags}, Host: h, Random: rand.IntN, Time: time.Now,
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return errors.Join(keep(ctx, out, r, h), etcd.Close())
}

// explained is a Registry whose errors have remedies.
type explained struct {
	*registry.Registry
	flags *etcdFlags
}

func (e explained) Confirm(ctx context.Context) (lan.Snapshot, time.Duration, error) {
	s, ttl, err := e.Registry.Confirm(ctx)
	return s, ttl, e.flags.explain(err)
}

// keep keeps the blocks until ctx ends.
func keep(ctx context.Context, out io.Writer, r *lan.Runner, h *host.Host) error {
	if err := r.Start(); err != nil {
		return err
	}
	if err := notifyReady(); err != nil {
		complain("notify systemd: %s", err)
	}
	var last lan.Status
	for ctx.Err() == nil {
		for ctx.Err() == nil && r.Step(ctx) {
			last = publish(out, last, r.Status(), h)
		}
		last = publish(out, last, r.Status(), h)
		select {
		case <-ctx.Done():
		case <-time.After(lan.Interval):
		}
	}
	return errors.Join(r.Stop(), h.RemoveStatus())
}

// publish writes a status that has changed, and prints what is new in it.
func publish(out io.Writer, last, now lan.Status, h *host.Host) lan.Status {
	if reflect.DeepEqual(last, now) {
		return last
	}
	if err := h.WriteStatus(now); err != nil {
		complain("%s", err)
	}
	for _, problem := range now.Problems {
		if !slices.Contains(last.Problems, problem) {
			complain("%s: %s", now.Network, problem)
		}
	}
	if now.State != last.State || !sameBlocks(now, last) {
		sayLine(out, "%s", summary(now))
	}
	return now
}

func sameBlocks(a, b lan.Status) bool {
	return slices.EqualFunc(a.Blocks, b.Blocks, func(a, b lan.BlockStatus) bool { return a.Block == b.Block && a.Phase == b.Phase })
}

// summary says which blocks a host has, in one line.
func summary(s lan.Status) string {
	text := fmt.Sprintf("%s: %s", s.Network, s.State)
	if s.State == lan.Ready {
		text += fmt.Sprintf(", %d addresses free", s.Free)
	}
	for _, b := range s.Blocks {
		text += fmt.Sprintf(", %s %s", b.Block, b.Phase)
	}
	return text
}

// notifyReady writes READY=1 to the socket that systemd waits at for a service of type notify, see sd_notify(3).
func notifyReady() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("READY=1"))
	return errors.Join(err, conn.Close())
}

var _ lan.Registry = explained{}

// list reads all keys of a network that is initialized.
func list(client *clientv3.Client, network string) (lan.Snapshot, error) {
	s, err := registry.List(context.Background(), client, network)
	if err == nil && s.Config == nil {
		err = fmt.Errorf("network %s: %w; run patchbay-lan init %s", network, lan.ErrUninitialized, network)
	}
	return s, err
}
