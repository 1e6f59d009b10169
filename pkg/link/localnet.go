package link

import (
	"errors"
	"fmt"
	"io/fs"
)

// RouteLocalnet lets packets from 127.0.0.0/8 leave by a bridge, which connections to a published port
// by localhost need (sysctl route_localnet). The sysctl also accepts packets to 127.0.0.0/8 that arrive
// by the bridge, so the caller must have added a rule that drops them before. Errors wrap ErrVanished if
// the bridge does not exist, or are a *SysctlError.
//
// The order matters: with the sysctl and without the rule, containers and machines on the
// bridge can reach services of the host that listen on 127.0.0.1 only. CVE-2020-8558 was
// that hole in kube-proxy (kubernetes issue 92315). There is no such sysctl for ::1, so
// localhost means IPv4 here.
func (h *Host) RouteLocalnet(bridge string) error {
	if RoutesLocalnet(bridge) {
		return nil
	}
	err := setSysctl(localnetPath(bridge), "1")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("enable route_localnet on bridge %s: %w", bridge, ErrVanished)
	}
	return err
}

// StopRoutingLocalnet sets route_localnet of an interface to 0, before the rule that drops such packets is removed. An interface
// that no longer exists is no error.
func (h *Host) StopRoutingLocalnet(name string) error {
	err := setSysctl(localnetPath(name), "0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RoutesLocalnet reports whether route_localnet is 1 for a bridge, or for all interfaces.
//
// The kernel takes either of the two (IN_DEV_NET_ROUTE_LOCALNET is an IN_DEV_ORCONF).
func RoutesLocalnet(bridge string) bool {
	return getSysctl(localnetPath(bridge)) == "1" || getSysctl(localnetPath("all")) == "1"
}

// MayRouteLocalnet returns the error that RouteLocalnet would return, and changes nothing. A bridge that
// does not exist is one that ADD will create: then the sysctl of "default" is checked for the permission.
func MayRouteLocalnet(bridge string) error {
	if RoutesLocalnet(bridge) {
		return nil
	}
	err := settable(localnetPath(bridge), "1")
	if errors.Is(err, fs.ErrNotExist) {
		err = settable(localnetPath("default"), "1")
	}
	return err
}

// localnetPath returns the path of the sysctl route_localnet of an interface.
func localnetPath(bridge string) string { return sysctl("ipv4", "conf", bridge, "route_localnet") }
