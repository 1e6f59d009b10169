package link

// RouteLocalnet lets packets from 127.0.0.0/8 leave by a bridge, as those do that came to a published
// port by localhost (sysctl route_localnet). It lets others send to 127.0.0.0/8 of the host, too,
// unless a rule drops that: the caller has made one.
func (h *Host) RouteLocalnet(bridge string) error {
	if RoutesLocalnet(bridge) {
		return nil
	}
	return setSysctl(localnetPath(bridge), "1")
}

// RoutesLocalnet reports whether RouteLocalnet was done.
func RoutesLocalnet(bridge string) bool { return getSysctl(localnetPath(bridge)) == "1" }

func localnetPath(bridge string) string { return sysctl("ipv4", "conf", bridge, "route_localnet") }
