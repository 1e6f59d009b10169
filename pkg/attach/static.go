package attach

import (
	"context"
	"fmt"
	"io"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// The IPAM plugin static returns configured addresses. It keeps no record of them, so that two containers may have the same one, as with
// the reference plugin; a main plugin of this program compares them with other attachments of its bridge.

// isStatic reports whether a name is that of the plugin static.
func isStatic(name string) bool { return names.Is(name, names.Static) }

// AddStatic answers ADD as the IPAM plugin static of another main plugin.
func AddStatic(_ context.Context, req Request, out io.Writer) error {
	cfg, err := config.ParseStatic(req.Config, req.Args)
	if err != nil {
		return err
	}
	return PrintResult(out, staticResult(cfg), cfg.CNIVersion)
}

// CheckStatic answers CHECK as the IPAM plugin static.
func CheckStatic(_ context.Context, req Request) error {
	cfg, err := config.ParseStatic(req.Config, req.Args)
	if err != nil {
		return err
	}
	if cfg.PrevResult == nil {
		return ErrNoPrevResult
	}
	return checkStatic(cfg)
}

// StatusStatic answers STATUS as the IPAM plugin static: every ADD succeeds with a valid configuration.
func StatusStatic(_ context.Context, req Request) error {
	_, err := config.ParseStatic(req.Config, req.Args)
	return notReadyWithout(err)
}

// ForgetStatic answers DEL and GC as the IPAM plugin static, which reserves nothing: it succeeds.
func ForgetStatic(context.Context, Request) error { return nil }

// staticResult returns the configured addresses, routes and DNS settings.
func staticResult(s *config.Static) *types100.Result {
	r := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, DNS: s.DNS}
	for _, a := range s.Addresses {
		r.IPs = append(r.IPs, &types100.IPConfig{Address: ipNet(a.Address), Gateway: ipOf(a.Gateway)})
	}
	for _, route := range s.Routes {
		r.Routes = append(r.Routes, cniRoute(route))
	}
	return r
}

// checkStatic compares the gateways of prevResult with the configured ones. As in the reference plugin, an address that prevResult does
// not have is no difference: another plugin may have replaced it.
func checkStatic(s *config.Static) error {
	if s.PrevResult == nil {
		return nil
	}
	for _, a := range s.Addresses {
		for _, ip := range s.PrevResult.IPs {
			prefix, ok := prefixOf(ip.Address)
			if !ok || prefix.Addr() != a.Address.Addr() || !a.Gateway.IsValid() {
				continue
			}
			if !ip.Gateway.Equal(a.Gateway.AsSlice()) {
				return &DriftError{Found: []string{fmt.Sprintf("prevResult has gateway %s of %s, the configuration has %s", ip.Gateway, a.Address.Addr(), a.Gateway)}}
			}
			break
		}
	}
	return nil
}
