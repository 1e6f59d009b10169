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

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
)

// common are the flags that commands for people share.
type common struct {
	network, ip, ifName, confDir, stateDir string
	publish                                cli.Mappings
}

func (c *common) registerNetwork(flags *flag.FlagSet, meaning string) {
	flags.StringVar(&c.network, "network", "", meaning)
	c.registerConfDir(flags)
}

func (c *common) registerConfDir(flags *flag.FlagSet) {
	flags.StringVar(&c.confDir, "conf-dir", cmp.Or(os.Getenv("NETCONFPATH"), cli.DefaultConfDir), "where networks are configured; NETCONFPATH says so too")
}

func (c *common) registerIP(flags *flag.FlagSet) {
	flags.StringVar(&c.ip, "ip", "", "the `address` that it shall have; several with commas between them")
}

func (c *common) registerState(flags *flag.FlagSet) {
	flags.StringVar(&c.stateDir, "state-dir", config.DefaultStateDir, "where the records are; those where a network has masqueraded are known")
}

func (c *common) wish() (cli.Wish, error) {
	ips, err := cli.ParseIPs(c.ip)
	return cli.Wish{Dir: c.confDir, Network: c.network, IPs: ips, Ports: c.publish}, err
}

// choose finds the network. Of a list's other plugins it says that nobody calls them.
func (c *common) choose() (cli.Wish, *cli.Network, error) {
	w, err := c.wish()
	if err != nil {
		return w, nil, err
	}
	n, err := w.Choose()
	if err == nil && len(n.Others) > 0 {
		fmt.Fprintf(os.Stderr, "patchbay: network %s has further plugins, which are not called: %s\n", n.Name, strings.Join(n.Others, ", "))
	}
	return w, n, err
}

// known refuses a network that is neither configured nor one that something is attached to.
func (c *common) known(all []cli.Attachment) error {
	if c.network == "" || len(all) > 0 {
		return nil
	}
	_, err := cli.Find(c.confDir, c.network)
	return err
}

// one is the only argument of a command.
func one(command, what string, args []string) (string, error) {
	if len(args) != 1 || args[0] == "" {
		return "", fmt.Errorf("%s wants one %s, got %d arguments; see patchbay help %s", command, what, len(args), command)
	}
	return args[0], nil
}

// privileged refuses early, and in words, who lacks a capability.
func privileged(command string, wanted ...int) error {
	var have [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &have[0]); err != nil {
		return nil //nolint:nilerr // the kernel says so itself later
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

// told is an error of package attach in words for people, with its remedy.
func told(err error) error {
	if err == nil {
		return nil
	}
	if by := attach.TakenPort(err); by != nil {
		return taken(by)
	}
	e := attach.CNIError(err)
	if e.Code == attach.CodeAttached {
		return fmt.Errorf("%s; patchbay detach takes it away", e.Msg)
	}
	return fmt.Errorf("%s; %s", e.Msg, e.Details)
}

// readable adds what would help against a lack of permission.
func readable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; the records belong to root: it takes sudo, or CAP_DAC_READ_SEARCH", err)
	}
	return err
}

// setCall gives another IPAM plugin the environment that the specification promises it.
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

// interruptible is done when a signal asks for the end. The signals have no other effect any more.
func interruptible() context.Context {
	wanted := slices.DeleteFunc([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)
	ctx, _ := signal.NotifyContext(context.Background(), wanted...)
	return ctx
}

// remove takes attachments away, past errors. Half a removal helps nobody, so a signal does not end it.
func remove(confDir string, some []cli.Attachment) error {
	ctx := context.WithoutCancel(interruptible())
	var failed error
	for i := range some {
		req := some[i].Removal(confDir)
		setCall(&req)
		failed = errors.Join(failed, told(attach.Del(ctx, req)))
	}
	return failed
}
