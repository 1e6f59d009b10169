package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/host"
)

func waitCommand() command {
	var timeout time.Duration
	return command{
		name: "wait", takes: "NETWORK", words: 1, short: "wait until this host has addresses of a network",
		long: `Returns with status 0 as soon as "patchbay-lan run" has written the network configuration, and with status
1 after --timeout. A service that starts containers at boot calls it first.`,
		flags: func(flags *flag.FlagSet) {
			flags.DurationVar(&timeout, "timeout", 2*time.Minute, "longest `time` to wait")
		},
		run: func(_ io.Writer, args []string) error {
			if err := checkNetwork(args[0]); err != nil {
				return err
			}
			return wait(args[0], timeout)
		},
	}
}

// wait reads the status until it says that the network configuration exists.
func wait(network string, timeout time.Duration) error {
	h := &host.Host{Network: network}
	for deadline := time.Now().Add(timeout); ; time.Sleep(100 * time.Millisecond) {
		s, err := h.ReadStatus()
		switch {
		case err == nil && s.State == lan.Ready:
			return nil
		case time.Now().Before(deadline):
		case err != nil:
			return fmt.Errorf("%s is not ready after %s: %w", network, timeout, err)
		default:
			return fmt.Errorf("%s is not ready after %s: %s", network, timeout, strings.Join(s.Problems, "; "))
		}
	}
}
