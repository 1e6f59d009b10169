package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
)

// common is the flags that commands share.
type common struct {
	network, ip, ifName, confDir, stateDir string
	publish                                cli.Mappings
	tap                                    tapFlags // of attach and up
	dryRun, hostNames                      bool
}

func (c *common) registerDryRun(flags *flag.FlagSet) {
	flags.BoolVar(&c.dryRun, "dry-run", false, "print the commands of ip, nft and others that make the same, as explain does, and change nothing")
}

func (c *common) registerNetwork(flags *flag.FlagSet, meaning string) {
	flags.StringVar(&c.network, "network", "", meaning)
	c.registerConfDir(flags)
}

func (c *common) registerConfDir(flags *flag.FlagSet) {
	flags.StringVar(&c.confDir, "conf-dir", cmp.Or(os.Getenv("NETCONFPATH"), cli.DefaultConfDir), "`directory` of network configurations; NETCONFPATH sets the default")
}

func (c *common) registerIP(flags *flag.FlagSet) {
	flags.StringVar(&c.ip, "ip", "", "IP `address` to request (comma-separated)")
}

func (c *common) registerIfName(flags *flag.FlagSet) {
	flags.StringVar(&c.ifName, "interface", "eth0", "`name` of the container interface")
	flags.StringVar(&c.ifName, "ifname", "eth0", "the same as --interface")
}

func (c *common) registerState(flags *flag.FlagSet) {
	flags.StringVar(&c.stateDir, "state-dir", config.DefaultStateDir, stateDirMeaning)
}

// stateDirMeaning is the help text of --state-dir.
const stateDirMeaning = "state `directory`; others registered on this host are included"

func (c *common) selection() (cli.Selection, error) {
	ips, err := cli.ParseIPs(c.ip)
	return cli.Selection{Dir: c.confDir, Network: c.network, IPs: ips, Ports: c.publish}, err
}

// choose returns the selected network. It warns about the other plugins of a list, which commands do not call.
func (c *common) choose() (cli.Selection, *cli.Network, error) {
	w, err := c.selection()
	if err != nil {
		return w, nil, err
	}
	n, err := w.Choose()
	if err == nil {
		err = c.tap.addTo(n)
	}
	if err == nil && n.Skipped != nil {
		complain("skipped: %s", oneLine(n.Skipped))
	}
	if err == nil && len(n.Others) > 0 {
		complain("network %s: other plugins of the list are not called: %s", n.Name, strings.Join(n.Others, ", "))
	}
	return w, n, err
}

// known returns an error for a network that is not configured and has no attachments.
func (c *common) known(all []inventory.Attachment) error {
	if c.network == "" || len(all) > 0 {
		return nil
	}
	_, err := cli.Find(c.confDir, c.network)
	return err
}

// networkMeaning is the help text of --network. The default is the same on every host, whatever a runtime has
// configured.
const networkMeaning = "name of the network (default " + cli.DefaultName + ", which needs no file)"

// some returns an error unless there is at least one argument, and none is empty.
func some(command, what string, args []string) error {
	if len(args) == 0 || slices.Contains(args, "") {
		return fmt.Errorf("%s needs at least one %s; see patchbay help %s", command, what, command)
	}
	return nil
}

// each calls do for every one, and continues after errors. It prints all errors but the last, which it returns. Where the rows that do
// prints are not seen, because only stderr is a terminal, it prints how many are done every two seconds.
func each[T any](all []T, do func(T) error) error {
	var failed error
	unseen, said := rowsUnseen(), time.Now()
	for i, one := range all {
		if unseen && time.Since(said) > 2*time.Second {
			complain("%d of %d done", i, len(all))
			said = time.Now()
		}
		err := do(one)
		if err != nil && failed != nil {
			complain("%s", oneLine(failed))
		}
		failed = cmp.Or(err, failed)
	}
	return failed
}

// one returns the only argument of a command.
func one(command, what string, args []string) (string, error) {
	if len(args) != 1 || args[0] == "" {
		return "", fmt.Errorf("%s needs one %s, got %d arguments; see patchbay help %s", command, what, len(args), command)
	}
	return args[0], nil
}

// privileged returns an error if the process lacks a capability that the command needs.
func privileged(command string, wanted ...int) error {
	var have [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &have[0]); err != nil {
		return nil //nolint:nilerr // the kernel refuses later
	}
	names := map[int]string{unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN"}
	var missing []string
	for _, c := range wanted {
		if have[c/32].Effective&(1<<(c%32)) == 0 {
			missing = append(missing, names[c])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s needs %s, which this process does not have: run it as root (sudo patchbay %s)", command, strings.Join(missing, " and "), command)
}

// readableError returns an error of package attach with its remedy, as one sentence.
func readableError(err error) error {
	if err == nil {
		return nil
	}
	if by := ruleset.PortOwnerOf(err); by != nil {
		return portTaken(by)
	}
	return attach.CommandError(err)
}

// readableErrorOn is readableError for an ADD to a network.
func readableErrorOn(n *cli.Network, err error) error {
	if err == nil || !n.LAN.IsValid() || ruleset.PortOwnerOf(err) != nil {
		return readableError(err)
	}
	return attach.CommandErrorOnLAN(err, n.LAN)
}

// readable adds the remedy to an error about missing permissions.
func readable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run it as root, who owns the records (sudo), or with CAP_DAC_READ_SEARCH", err)
	}
	return err
}

// writable adds the remedy to an error about files that only root can write. For root it is none.
func writable(command string, err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w; run it as root (sudo patchbay %s)", err, command)
	}
	return err
}

// setCall sets the environment of a delegated IPAM plugin (CNI SPEC section 4).
func setCall(req *attach.Request) {
	for _, v := range [][2]string{
		{"CNI_CONTAINERID", req.ContainerID},
		{"CNI_NETNS", req.Netns},
		{"CNI_IFNAME", req.IfName},
		{"CNI_ARGS", req.Args},
		{"CNI_PATH", req.Path},
	} {
		_ = os.Setenv(v[0], v[1])
	}
}

// interruptible returns a context that SIGTERM, SIGINT and SIGHUP cancel. They no longer end the process.
func interruptible() context.Context {
	wanted := slices.DeleteFunc([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)
	ctx, _ := signal.NotifyContext(context.Background(), wanted...)
	return ctx
}

// remove deletes attachments, and returns an error for each. A signal does not interrupt it.
func remove(confDir string, some []inventory.Attachment) []error {
	requests := make([]attach.Request, len(some))
	for i := range some {
		requests[i] = cli.Removal(&some[i], confDir)
	}
	ctx := attach.Within(context.WithoutCancel(interruptible())) // one deadline for all of them
	failed := attach.DelTogether(ctx, requests, setCall)
	for i, err := range failed {
		failed[i] = readableError(err)
	}
	return failed
}
