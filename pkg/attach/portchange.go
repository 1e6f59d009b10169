package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// portChange publishes ports of an attachment that exists, or ends that. It holds the lock of the record. No element of another port of
// the attachment is in its transaction.
type portChange struct {
	req   *Request
	host  *link.Host
	port  *link.Link // the host interface
	rules *ruleset.Ruleset
	state *store.Attachment

	before, after *store.Record
	ports         []store.Port // those that are published, or no longer published
}

// Publish publishes the ports of runtimeConfig.portMappings of the request's configuration too. The attachment is live and was not created
// by a runtime. As in ADD the record comes first, so that whatever a killed Publish has made is found from it: Publish again, reload and DEL
// complete or remove it. Ports that the attachment publishes already, to the same port of the container, are published again if the ruleset
// lacks them. Errors wrap errPortInUse for a port on which a process of the host listens, and nft.ErrPortTaken for that of another attachment.
func Publish(ctx context.Context, req Request) error {
	ctx = Within(ctx)
	c, err := req.openPorts(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.planMore(); err != nil || c.after == nil {
		return err
	}
	if err := c.checkFree(); err != nil {
		return err
	}
	noteStateDir(c.state.Dirs().State)
	return c.publish(ctx)
}

// Unpublish ends the publishing of ports of an attachment. A mapping of ports names a host port, or a range; without HostIP on any address of
// the host. ContainerPort is not read. A part of a range is removed from it. The elements are removed before the record is changed: after a
// kill in between the ports are in the record, as before, and reload restores them, or Unpublish again removes them.
func Unpublish(ctx context.Context, req Request, ports []config.PortMapping) error {
	ctx = Within(ctx)
	c, err := req.openPorts(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.planLess(ports); err != nil {
		return err
	}
	return c.unpublish(ctx)
}

// openPorts locks the record of a live attachment that no runtime created.
func (r *Request) openPorts(ctx context.Context) (*portChange, error) {
	id := r.identify()
	c := &portChange{req: r}
	var err error
	if c.host, err = OpenHost(ctx); err == nil {
		c.state, err = store.OpenExisting(ctx, dirs(id), r.Key(id.Name))
	}
	if err == nil {
		err = c.look()
	}
	if err == nil {
		c.rules, err = ruleset.Open(c.host)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// look checks that the ports of the attachment can be changed.
func (c *portChange) look() (err error) {
	r, key := c.state.Record, c.state.Key
	switch {
	case errors.Is(c.state.Broken, store.ErrNewer):
		return c.state.Broken
	case r == nil || c.state.Broken != nil:
		return fmt.Errorf("%s %w", key, errNoRecord)
	case r.Owner == store.OwnerCNI || r.Role != store.RolePort:
		return fmt.Errorf("%s %w", key, errOfRuntime)
	}
	checker := liveness.New(c.host)
	if r.IPAM == store.IPAMPending || checker.IsStale(r) {
		return fmt.Errorf("%s %w", key, errNotLive)
	}
	c.before = r
	c.port, err = checker.HostInterface(r)
	return err
}

// planMore puts the ports of the configuration into the record.
func (c *portChange) planMore() error {
	cfg, err := config.ParsePortmap(c.req.Config)
	if err != nil {
		return err
	}
	has := c.before.Publish
	if has != nil { // its elements stay as they are
		cfg.Publish.SNAT, cfg.Publish.MasqAll, cfg.Publish.MarkBit = !has.Plain, has.All, has.MarkBit
	}
	for _, m := range cfg.Publish.Ports {
		if _, unserved := PortsOf([]config.PortMapping{m}, c.before.Addresses); len(unserved) > 0 {
			return fmt.Errorf("port %s %w", m, errNoFamily)
		}
	}
	publish, err := PublishOf(c.req, cfg.Publish, c.before.Addresses, c.before.RoutedBy())
	if err != nil || publish == nil {
		return err
	}
	c.ports = publish.Ports
	if has != nil {
		if publish.Ports, err = together(has.Ports, publish.Ports); err != nil {
			return err
		}
		publish.Localhost = publish.Localhost || has.Localhost
	}
	after := *c.before
	after.Publish = publish
	after.Hairpin = after.Hairpin || ReachesItself(&after)
	c.after = &after
	return nil
}

// checkFree returns an error if another attachment publishes one of the new ports, or a process of the host listens on it.
func (c *portChange) checkFree() error {
	var added []store.Port
	for _, p := range c.ports {
		if c.before.Publish == nil || !slices.Contains(c.before.Publish.Ports, p) {
			added = append(added, p)
		}
	}
	if err := c.rules.CheckPortsFree(c.before.Alias, c.ports, c.state.Dirs().Data); err != nil {
		return err
	}
	return noListener(c.host, added)
}

// publish writes the record and adds the elements, and undoes both after an error.
func (c *portChange) publish(ctx context.Context) (err error) {
	undo := &undo{}
	defer func() { undo.onError(&err) }()
	undo.pushRelease("record", func() error { return c.state.Save(c.before) })
	if err := c.state.Save(c.after); err != nil {
		return err
	}
	undo.push("published ports", func() error {
		unlock, err := ruleset.Lock(toUndo(ctx), c.state.Dirs().State, ruleset.Shared)
		if err != nil {
			return err
		}
		defer unlock()
		return ruleset.WithdrawPorts(c.after, c.before, nil)
	})
	if err := c.rules.Publish(ctx, c.after, c.state.Dirs().State, c.state.Dirs().Data); err != nil {
		return err
	}
	added := *c.after
	added.Publish = &store.Publish{Ports: c.ports}
	WarnOfPorts(c.host, c.req, &added)
	ruleset.EndStaleFlows(context.WithoutCancel(ctx), &added)
	if c.after.Publish.Localhost { // after the rule that drops what it would let pass
		if err := c.host.RouteLocalnet(c.after.RoutedBy()); err != nil {
			return err
		}
	}
	if !ReachesItself(c.after) {
		return nil
	}
	return c.host.SetHairpin(c.port)
}

// planLess removes ports from the record.
func (c *portChange) planLess(unwanted []config.PortMapping) error {
	after := *c.before
	var left []store.Port
	if after.Publish != nil {
		left = after.Publish.Ports
	}
	for _, m := range unwanted {
		var gone []store.Port
		if left, gone = divide(left, m); len(gone) == 0 {
			return c.notPublished(m)
		}
		c.ports = append(c.ports, gone...)
	}
	after.Publish = nil
	if len(left) > 0 {
		publish := *c.before.Publish
		publish.Ports = left
		after.Publish = &publish
	}
	c.after = &after
	return nil
}

// notPublished returns the error for a port that the attachment does not publish. It lists those that it publishes.
func (c *portChange) notPublished(m config.PortMapping) error {
	list := []string{"which publishes none"}
	if c.before.Publish != nil {
		list = nil
		for _, p := range c.before.Publish.Ports {
			if one := hostSide(p); !slices.Contains(list, one) { // of each family
				list = append(list, one)
			}
		}
		list[0] = "which publishes " + list[0]
	}
	return fmt.Errorf("port %s %w, %s", m, errNotPublished, strings.Join(list, ", "))
}

// unpublish removes the elements and writes the record, and undoes the former if the latter fails.
func (c *portChange) unpublish(ctx context.Context) (err error) {
	undo := &undo{}
	defer func() { undo.onError(&err) }() // without the lock
	unlock, err := ruleset.Lock(ctx, c.state.Dirs().State, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	undo.push("published ports", func() error {
		return c.rules.Publish(toUndo(ctx), c.before, c.state.Dirs().State, c.state.Dirs().Data)
	})
	if err := ruleset.WithdrawPorts(c.before, c.after, c.ports); err != nil {
		return err
	}
	return c.state.Save(c.after)
}

func (c *portChange) close() {
	if c.rules != nil {
		c.rules.Close()
	}
	if c.state != nil {
		closeState(c.state)
	}
	if c.host != nil {
		c.host.Close()
	}
}
