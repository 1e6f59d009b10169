package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/noderoute"
	"github.com/patchbay-cni/patchbay/pkg/overlay"
)

// Times of the loop: how long events are collected before a pass, how long interfaces are given to settle (each container changes some),
// the time between two passes without an event, and before another try.
const (
	soon    = 50 * time.Millisecond
	settled = 500 * time.Millisecond
	idle    = 60 * time.Second
	again   = 5 * time.Second
)

// agent is the program. Its methods are for one goroutine; others wake it.
type agent struct {
	options options
	log     *slog.Logger
	config  configFile
	api     *api
	table   *noderoute.Table
	host    *link.Host
	watch   *noderoute.Watch
	overlay *overlay.Host
	failed  chan error // of a goroutine without which the loop is of no use

	overlayWatch *overlay.Watch // nil until there is a device
	guard        cluster.Guard
	peers        peersFile
	last         lastPlan
	passes       int
	lock         agentstatus.Lock         // held as long as the program runs
	reported     map[cluster.Problem]bool // problems of the last pass, which are in the log
	wake         map[time.Duration]chan struct{}
}

// newAgent opens what the loop needs.
func newAgent(o options, log *slog.Logger) (*agent, error) {
	a := &agent{options: o, log: log, config: configFile{path: o.config}, reported: map[cluster.Problem]bool{}, failed: make(chan error, 2)}
	a.wake = map[time.Duration]chan struct{}{soon: make(chan struct{}, 1), settled: make(chan struct{}, 1)}
	if err := a.config.read(); err != nil {
		return nil, err
	}
	var err error
	if a.api, err = newAPI(o, func() { a.kick(soon) }); err != nil {
		return nil, err
	}
	if a.table, err = noderoute.Open(); err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	if a.host, err = link.OpenHost(); err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	if a.overlay, err = overlay.Open(); err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	if a.watch, err = noderoute.OpenWatch(); err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return a, nil
}

func (a *agent) close() {
	a.lock.Release()
	a.table.Close()
	a.host.Close()
	a.overlay.Close()
}

// kick wakes the loop after a time.
func (a *agent) kick(after time.Duration) {
	select {
	case a.wake[after] <- struct{}{}:
	default: // it is awake
	}
}

// loop makes a pass at the start, after each event, and every minute.
func (a *agent) loop(ctx context.Context) error {
	a.log.Info("start", "version", version, "node", a.options.node, "clusterCIDRs", fmt.Sprint(a.config.cluster.ClusterCIDRs))
	go a.api.run(ctx)
	go func() { a.failed <- a.follow() }()
	if a.options.gcEvery != 0 {
		go collect(ctx, a.options, a.log)
	}
	timer := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.failed:
			return err
		case <-a.wake[soon]:
			a.collectEvents(ctx, soon)
		case <-a.wake[settled]:
			a.collectEvents(ctx, settled)
		case <-timer.C:
			a.config.refresh()
		}
		timer.Reset(a.step(ctx))
	}
}

// collectEvents waits, so that many events make one pass.
func (a *agent) collectEvents(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-a.wake[settled]:
		case <-a.wake[soon]:
			if d > soon {
				d = soon
				timer.Reset(d)
			}
		}
	}
}

// follow wakes the loop when routes or interfaces have changed.
func (a *agent) follow() error {
	for {
		change, err := a.watch.Next()
		if err != nil {
			return err
		}
		if change&noderoute.RouteLost != 0 {
			a.kick(soon)
		}
		if change&noderoute.LinkChanged != 0 {
			a.kick(settled)
		}
	}
}

// followOverlay wakes the loop when a device of the overlay or an entry of it has changed.
func (a *agent) followOverlay(w *overlay.Watch) error {
	for {
		if err := w.Next(); err != nil {
			return err
		}
		a.kick(soon)
	}
}

// step makes a pass from the cache, or from a list of its own where the guard waits for one, and returns when the next one is due.
func (a *agent) step(ctx context.Context) time.Duration {
	for _, addr := range a.api.connections.closeLost() {
		a.log.Info("connect to the API server again: the host does not have the address of the connection any more", "address", addr.String())
	}
	now := time.Now()
	ok := false
	switch at := a.guard.ListAt(); {
	case !a.api.synced():
		a.wait()
	case !at.IsZero() && !now.Before(at):
		nodes, err := a.api.fresh(ctx)
		if err != nil { // the list is requested again; routes that were deleted are not to wait for it
			a.pass(a.api.nodes(), cluster.Clock{Now: now})
			break
		}
		ok = a.pass(nodes, cluster.Clock{Now: now, Listed: now})
	default:
		ok = a.pass(a.api.nodes(), cluster.Clock{Now: now})
	}
	next := idle
	if !ok {
		next = again
	}
	if at := a.guard.ListAt(); !at.IsZero() && time.Until(at) < next {
		next = max(soon, time.Until(at))
		if !ok {
			next = max(next, again)
		}
	}
	return next
}
