// Package loopback implements the CNI verbs of the plugin loopback: the interface lo of a container.
//
//	err := loopback.Add(ctx, req, os.Stdout)
//
// It changes nothing but the flag IFF_UP of lo, and keeps no record: lo goes with its namespace. CNI_IFNAME is ignored, as in the
// reference plugin.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

const name = "lo"

// Add sets lo up. The result is prevResult unchanged if there is one, else lo with its addresses. It is an error if
// lo has another address: the caller would take it for the container's network.
func Add(_ context.Context, req attach.Request, out io.Writer) error {
	cfg, err := config.ParseChained(req.Config)
	if err != nil {
		return err
	}
	var addresses []netip.Prefix
	err = inside(req, func(s *link.Sandbox) (err error) {
		if err = s.SetLoopback(true); err == nil {
			_, addresses, err = s.Loopback()
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if !a.Addr().IsLoopback() {
			return &config.Error{
				Kind: config.Invalid, Msg: fmt.Sprintf("%s of %s has %s, which is not a loopback address", name, req.Netns, a),
				Details: "remove that address from lo, or let the plugin that added it make an interface of its own",
			}
		}
	}
	if cfg.PrevResult != nil {
		return attach.PassOn(out, cfg)
	}
	return attach.PrintResult(out, result(req.Netns, addresses), cfg.CNIVersion)
}

// result returns lo with its first address of each family.
func result(netns string, addresses []netip.Prefix) *types100.Result {
	r := &types100.Result{
		CNIVersion: types100.ImplementedSpecVersion,
		Interfaces: []*types100.Interface{{Name: name, Mac: "00:00:00:00:00:00", Sandbox: netns}},
	}
	for _, is4 := range []bool{true, false} {
		for _, a := range addresses {
			if a.Addr().Is4() == is4 {
				r.IPs = append(r.IPs, attach.IPOn(a, 0))
				break
			}
		}
	}
	return r
}

// Check returns a *attach.DriftError if lo is down.
func Check(_ context.Context, req attach.Request) error {
	if _, err := config.ParseChained(req.Config); err != nil {
		return err
	}
	return inside(req, func(s *link.Sandbox) error {
		up, _, err := s.Loopback()
		if err == nil && !up {
			err = &attach.DriftError{Found: []string{name + " in the container is down"}}
		}
		return err
	})
}

// Del sets lo down. A namespace that does not exist any more, or that is none, is no error.
func Del(_ context.Context, req attach.Request) error {
	if req.Netns == "" {
		return nil
	}
	err := inside(req, func(s *link.Sandbox) error { return s.SetLoopback(false) })
	if errors.Is(err, link.ErrNoNetns) || errors.Is(err, link.ErrNotNetns) || errors.Is(err, link.ErrHostNetns) {
		return nil
	}
	return err
}

// Status returns an error for an invalid configuration.
func Status(_ context.Context, req attach.Request) error {
	_, err := config.ParseChained(req.Config)
	return err
}

// GC does nothing: lo goes with its namespace.
func GC(context.Context, attach.Request) error { return nil }

// inside opens the network namespace of the container and calls do.
func inside(req attach.Request, do func(*link.Sandbox) error) error {
	s, err := link.OpenSandbox(req.Netns, req.HostNetnsAllowed)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}
