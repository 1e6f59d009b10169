package chained

import (
	"context"
	"errors"
	"reflect"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// limits limits the traffic of a container on its host interface, as the record's Bandwidth says.
func limits() part {
	return part{
		parse:  func(data []byte, _ string) (*config.Chained, error) { return config.ParseLimits(data) },
		wanted: func(cfg *config.Chained) bool { return !cfg.Bandwidth.IsZero() },
		plan:   planLimits,
		apply:  applyLimits,
		remove: removeLimits,
		clear:  func(r *store.Record) { r.Bandwidth = nil },
		check:  checkLimits,
		status: func(*config.Chained, *link.Host) error { return nil },
	}
}

// planLimits puts the limits into the record. If the main plugin has set some already, these stay.
func planLimits(a *adding) error {
	if a.ends.host == nil {
		return noHostEnd("ingressRate, egressRate", a.req.IfName)
	}
	wanted := attach.Bandwidth(a.cfg.Bandwidth, a.names)
	if by := a.record.Bandwidth; by != nil && !a.record.HasPart(names.Bandwidth) {
		if !reflect.DeepEqual(by, wanted) {
			a.req.Warn("bandwidth: the main plugin of this list has set other limits, which stay: give the keys to one of them")
		}
		return errDone
	}
	a.record.Bandwidth = wanted
	a.note()
	return attach.BandwidthSpec(a.record).Validate(a.ends.host.MTU)
}

// applyLimits sets the limits, and appends the ifb device to the result, as the reference plugin does.
func applyLimits(ctx context.Context, a *adding) error {
	if a.has() {
		r := &removing{host: a.host, record: a.before, state: a.state, req: &a.req}
		if err := removeLimits(ctx, r); err != nil {
			return err
		}
	}
	if err := bandwidth.Limit(attach.Shaped(a.ends.host), attach.BandwidthSpec(a.record)); err != nil {
		return err
	}
	if a.record.Bandwidth.Device == "" {
		return nil
	}
	ifb, err := a.host.Link(a.record.Bandwidth.Device)
	if err != nil {
		return err
	}
	return a.addInterface(ifb)
}

// removeLimits removes the limits, or what is left of them if the host interface is gone. An interface of another program that has the name
// of the ifb device is kept: another DEL could not remove it either.
func removeLimits(_ context.Context, r *removing) error {
	if r.record.Bandwidth == nil {
		return nil
	}
	spec := attach.BandwidthSpec(r.record)
	l, err := liveness.New(r.host).HostInterface(r.record)
	switch {
	case err == nil:
		err = bandwidth.Remove(attach.Shaped(l), spec)
	case errors.Is(err, link.ErrNotFound) && spec.Device == "":
		return nil // the limits are gone with the interface
	case errors.Is(err, link.ErrNotFound):
		err = r.host.RemoveIFB(spec.Device, spec.Mark)
	}
	if errors.Is(err, bandwidth.ErrNotOwned) || errors.Is(err, link.ErrNotOwned) {
		report.Warn("bandwidth: %s; keeping it", report.OneLine(err))
		return nil
	}
	return err
}

// checkLimits compares the limits of the record with the configuration and the kernel.
func checkLimits(c *checking) error {
	if c.record.Bandwidth == nil {
		c.differ("the attachment was made without limits, the configuration has some")
		return nil
	}
	if c.record.HasPart(names.Bandwidth) && !attach.SameLimits(c.cfg.Bandwidth, c.record.Bandwidth) {
		c.differ("the attachment was made with other limits than the configuration has")
	}
	l, err := liveness.New(c.host).HostInterface(c.record)
	if err != nil {
		return nil //nolint:nilerr // reported by interfaces
	}
	found, err := bandwidth.Check(attach.Shaped(l), attach.BandwidthSpec(c.record))
	for _, difference := range found {
		c.reloadable = true
		c.differ("%s", difference)
	}
	return err
}
