package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/restore"
	"github.com/patchbay-cni/patchbay/pkg/upkeep"
)

// reloadCommand restores rules and bridge ports, as after nft flush ruleset or the deletion of a bridge.
func reloadCommand() command {
	var stateDir string
	var watch bool
	return command{
		name: "reload", short: "rebuild the ruleset, and restore bridges and their ports",
		long: `Restores this host to what the records say. It rebuilds the nftables table "inet patchbay" with the
elements of every live attachment, whatever version of patchbay created the present table. A host
interface that is a port of no bridge is added to its bridge again, which is created if it does not
exist, with the gateway addresses that its containers use; IP forwarding that they need is enabled.
Containers are not changed, nor a host interface that is a port of another bridge, nor a table of
that name that patchbay did not create, which is an error. It prints what it did; if nothing is
missing, one line about the table, or nothing if no network was ever masqueraded. It continues after
an error, and then exits with status 1.

A table of another version of patchbay is replaced by one of this version, as after a downgrade.
Containers that a newer version attached stay masqueraded as far as this version can read their
records. If it cannot, the table is not changed, and the error names both versions: reload with the
newer patchbay, or delete that container first.

--watch does not end: it restores the host, and again within a second whenever another program has
removed something, as nft flush ruleset and the restart of a firewall do. It prints what was removed,
of nftables also by which program, and what it restored. SIGHUP restores everything at once; SIGTERM
and SIGINT end it with status 0. Under systemd it says when it is ready (sd_notify(3)).`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&stateDir, "state-dir", config.DefaultStateDir, stateDirMeaning)
			flags.BoolVar(&watch, "watch", false, "restore again after each change of another program, until a signal")
		},
		run: func(out io.Writer) error {
			dir, err := filepath.Abs(stateDir) // the path is noted in the default state directory
			if err != nil {
				return err
			}
			if watch {
				return watchHost(out, dir)
			}
			done, err := upkeep.Reload(context.Background(), dir)
			for _, sentence := range append(done, reloadNames()...) {
				sayLine(out, "%s", sentence)
			}
			return attach.CommandError(err)
		},
	}
}

// watchHost restores the host until a signal.
func watchHost(out io.Writer, stateDir string) error {
	if err := privileged("reload --watch", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return restore.Run(ctx, restore.Options{
		StateDir: stateDir, Again: hangup, Ready: notifyReady, Files: reloadNames,
		Report: func(sentence string) { sayLine(out, "%s", sentence) },
	})
}

// notifyReady writes READY=1 to the socket that systemd waits at for a service of type notify, see sd_notify(3).
func notifyReady() {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Sendto(fd, []byte("READY=1"), 0, &unix.SockaddrUnix{Name: path}), unix.Close(fd))
	}
	if err != nil {
		complain("notify systemd: %s", oneLine(err))
	}
}
