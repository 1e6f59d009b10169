package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// publish adds the elements of this attachment to the ruleset in one transaction. The first ADD that needs tables and chains
// creates them.
func (a *adding) publish(ctx context.Context) error {
	if a.cfg.Firewall == config.FirewallAuto { // no reason to fail: the container is attached, and doctor reports that a firewall drops its packets
		if err := ruleset.Admit(ctx, a.cfg.GatewayLink(), a.cfg.StateDir); err != nil {
			a.req.Warn("%s", report.OneLine(err))
		}
	}
	if err := a.isolate(); err != nil { // again: look checked it before other processes could read this record
		return err
	}
	if !ruleset.IsNeeded(a.record) {
		return nil
	}
	noteStateDir(a.cfg.StateDir)
	err := a.publishElements(ctx)
	a.published = !errors.Is(err, store.ErrBusy)
	if err != nil {
		return err
	}
	return a.afterPublish(ctx)
}

// noteStateDir registers a state directory of which the ruleset has elements, so that reload finds its records.
func noteStateDir(dir string) {
	if err := store.NoteStateDir(config.DefaultStateDir, dir); err != nil {
		report.Warn("%v; pass it to patchbay reload with --state-dir", err)
	}
}

// publishElements publishes all elements of the record.
func (a *adding) publishElements(ctx context.Context) error {
	return a.req.PublishFree(a.rules, a.state, a.record, func() error {
		if !ruleset.IsNeeded(a.record) {
			return nil
		}
		return a.rules.Publish(ctx, a.record, a.cfg.StateDir, a.cfg.DataDir)
	})
}

// PublishFree calls publish, which sends the elements of a record in one transaction. If another attachment of the same container publishes a
// port of it, to which the runtime has passed the same ports, the record loses these ports, is saved and published again. The transaction
// decides, because the networks of a container are often attached at the same time.
func (req *Request) PublishFree(rules *ruleset.Ruleset, state *store.Attachment, record *store.Record, publish func() error) error {
	err := publish()
	if !ruleset.OfSameContainer(err, record.Key()) {
		return err
	}
	req.Note("%v: this attachment of the same container does not publish it", err)
	if err := rules.KeepFree(record, state.Dirs().Data); err != nil {
		return err
	}
	if err := state.Save(record); err != nil {
		return err
	}
	return publish()
}

// afterPublish deletes stale flows and sets route_localnet. That sysctl lets packets from the bridge reach 127.0.0.0/8 of the host,
// so it is set only after the elements and the rule that drops such packets exist.
func (a *adding) afterPublish(ctx context.Context) error {
	if a.record.Publish == nil {
		return nil
	}
	a.warnOfPorts()
	a.beginFlush(ctx)
	if a.record.Publish.Localhost {
		return a.host.RouteLocalnet(a.record.RoutedBy())
	}
	return nil
}

// warnOfPorts warns of host processes that listen on a published port and no longer receive its traffic, and of host addresses of
// port mappings that the host does not have.
func (a *adding) warnOfPorts() { WarnOfPorts(a.host, &a.req, a.record) }

// WarnOfPorts warns of host processes that listen on a published port of a record, and of host addresses that the host does not have.
func WarnOfPorts(host *link.Host, req *Request, record *store.Record) {
	eachListener(host, record.Publish.Ports, func(p store.Port, by netip.AddrPort) {
		req.Warn("port conflict: port %d/%s is published by %s, and a process of the host listens on %s but receives no traffic; stop that process, or choose another hostPort (%s)",
			by.Port(), p.Protocol, record.Key(), by, printable.Command("ss", "-lnp", fmt.Sprintf("sport = %d", by.Port())))
	})
	for _, p := range record.Publish.Ports {
		if !p.HostIP.IsValid() {
			continue
		}
		if local, err := host.IsLocal(p.HostIP); err == nil && !local {
			req.Warn("port %d/%s is published on %s, which is not an address of this host: connections reach it only once the host has that address", p.HostPort, p.Protocol, p.HostIP)
		}
	}
}

// beginFlush deletes stale UDP and SCTP flows to the ports, concurrently with the steps that follow: a dump of the conntrack table
// takes longer than these steps. endFlush waits for it.
func (a *adding) beginFlush(ctx context.Context) {
	if !ruleset.HasDatagramPorts(a.record) {
		return
	}
	done := make(chan struct{})
	a.flushed = done
	go func() {
		defer close(done)
		// Not with ctx: an ADD that is interrupted in its last step succeeds, and then needs this. It has a deadline of its own.
		ruleset.EndStaleFlows(context.WithoutCancel(ctx), a.record)
	}()
}
