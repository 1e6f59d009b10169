// Package health summarizes the state of this host for `patchbay status`: the networks with the
// addresses that are used and free, the attachments, the published ports, the ruleset, and how many
// problems doctor finds.
// It must not change anything.
//
//	s, err := health.Examine(doctor.Host{StateDir: "/run/patchbay", ConfDir: "/etc/cni/net.d"})
//
// A Summary is not one moment: records, interfaces and rules are read one after another.
//
// health.go has the summary, pools.go the addresses of the networks.
package health
