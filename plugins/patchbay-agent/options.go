package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// options are those of the command line.
type options struct {
	node, config, conflist, status string
	apiserver, tokenFile, caFile   string
	nodeIPs                        []netip.Addr
	gcEvery                        time.Duration
	patchbay                       string
	clean, version                 bool
}

// serviceAccount is where a pod has the token of its service account.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// parseOptions reads the command line. Errors are flag.ErrHelp, or say which option is wrong.
func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("patchbay-agent", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "patchbay-agent writes the routes to the pods of other nodes and the network configuration of this one; docs/cluster.md\n\nOptions:")
		f.PrintDefaults()
	}
	f.StringVar(&o.node, "node", os.Getenv("NODE_NAME"), "name of the Node object of this host")
	f.StringVar(&o.config, "config", "/etc/patchbay-agent/config.json", "configuration of the cluster")
	f.StringVar(&o.conflist, "conflist", "/etc/cni/net.d/10-patchbay.conflist", "network configuration to write")
	f.StringVar(&o.status, "status", "/run/patchbay-agent/status.json", "state to write, for other programs")
	f.StringVar(&o.apiserver, "apiserver", "", "URL of the API server; without it the one that kubelet gives its pods, which kube-proxy has to forward")
	f.StringVar(&o.tokenFile, "token-file", serviceAccount+"token", "token of the service account")
	f.StringVar(&o.caFile, "ca-file", serviceAccount+"ca.crt", "certificate of the authority that signed that of the API server")
	f.Func("node-ip", "addresses of this host, by which the interface is found whose MTU is used, instead of the InternalIPs of the node: IPv4,IPv6", func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			addr, err := netip.ParseAddr(part)
			if err != nil {
				return err
			}
			o.nodeIPs = append(o.nodeIPs, addr)
		}
		return nil
	})
	f.DurationVar(&o.gcEvery, "gc", 0, "time between two runs of `patchbay gc`; 0: none. In a container it needs the directories /run/netns and /run/patchbay of the host")
	f.StringVar(&o.patchbay, "patchbay", "/opt/cni/bin/patchbay", "program for --gc")
	f.BoolVar(&o.clean, "clean", false, "delete the routes, the overlay, the network configuration and the state, and exit")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.node == "" && !o.clean && !o.version:
		return o, errors.New("--node is missing: set it, or NODE_NAME in the environment, to the name of the Node object of this host")
	case o.gcEvery != 0 && o.gcEvery < time.Minute:
		return o, fmt.Errorf("--gc %s is less than a minute", o.gcEvery)
	}
	return o, nil
}
