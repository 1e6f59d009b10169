// Command patchbay-agent makes a node of a Kubernetes cluster reach the pods of all other nodes: it watches the Node objects, and writes the
// routes, the VXLAN device and the network configuration of its own node. One runs on each node. It decides nothing: Kubernetes has given each node its pod
// CIDRs, and package cluster plans from them.
//
// Everything is done by one function, pass, which compares all nodes with all routes of the kernel, whatever has happened. No handler of an
// event changes anything: it only wakes the loop that calls pass. So an event that is lost, late or in another order is of no concern.
//
// Routes, device and file stay when the program ends, is updated or cannot reach the API server. `patchbay-agent --clean` removes them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"k8s.io/klog/v2"
)

// version is set by scripts/build.sh.
var version = "0.1.0-dev"

func main() {
	o, err := parseOptions(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	case o.version:
		fmt.Fprintln(os.Stdout, "patchbay-agent", version)
		return
	}
	runtime.GOMAXPROCS(1) // an event passes five goroutines, one after the other: waking other threads for them would be a sixth of its time
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // what a pass and a list leave behind is most of the memory with thousands of nodes, and passes are rare
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	klog.SetSlogLogger(log) // client-go has no other way to say why it cannot connect
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, log); err != nil {
		log.Error("cannot continue", "error", err)
		stop()
		os.Exit(1)
	}
}

// run does what the options ask for, until the context ends.
func run(ctx context.Context, o options, log *slog.Logger) error {
	if o.clean {
		return clean(o, log)
	}
	a, err := newAgent(o, log)
	if err != nil {
		return err
	}
	defer a.close()
	return a.loop(ctx)
}
