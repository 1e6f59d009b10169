// Package attach implements the CNI verbs: ADD, DEL, CHECK, GC and STATUS (CNI SPEC.md section 4). It calls the
// packages that change the kernel and the state files in a safe order, undoes a failed ADD, and chooses the error code for the runtime.
//
//	err := attach.Add(ctx, attach.Request{ContainerID: id, Netns: path, IfName: "eth0", Config: conf}, os.Stdout)
//	e := attach.CNIError(err) // code, msg and details
//
// It must not form netlink messages, open state files or parse keys of the configuration: pkg/link, pkg/ruleset, pkg/store and
// pkg/config do.
//
// An ADD has seven steps, in add.go:
//
//	look      check host and container; open both namespaces, lock the record
//	reserve   choose addresses, write the record and the address files
//	plug      create the bridge if it is missing, the veth pair, the bridge port
//	ask       only with a delegated IPAM plugin: call it, and record its addresses
//	publish   add the nftables elements in one transaction
//	up        set sysctls, addresses and routes of the container interface; announce them
//	print     write the result; if that fails, the ADD fails
//
// If a step fails, the steps before it are undone in reverse order. Addresses and record are released last, and stay if anything else
// could not be removed. DEL removes the same in the same order and continues after errors. CHECK compares record and kernel and changes
// nothing. Publish and Unpublish change the published ports of an attachment that a command created.
//
// Files, in reading order:
//
//   - ports of an attachment that exists: portchange.go, portset.go
//   - ADD: preview.go, add.go, add_delegated.go, add_look.go, add_chain.go, add_reserve.go, add_probe.go, add_plug.go, add_bandwidth.go, add_ipam.go,
//     add_plan.go, add_gateway.go, add_publish.go, add_up.go, add_tap.go, result.go, resulttext.go
//   - GC and DEL: stale.go, gc.go, gc_candidates.go, del_together.go, del.go, del_unplug.go, del_chain.go, del_part.go, del_container.go, del_bandwidth.go,
//     del_reference.go, del_release.go, del_gateways.go
//   - CHECK: check.go, check_interfaces.go, check_vlan.go, check_bandwidth.go, check_routes.go, check_container.go, check_tap.go,
//     check_ruleset.go, check_drift.go
//   - STATUS, and what ADD examines first: status.go, preflight.go, preflight_state.go, preflight_routes.go, preflight_vlan.go,
//     preflight_bandwidth.go, isolation.go,
//     limits.go, addressrules.go, bridgemates.go, gateways.go
//   - shared by the verbs: tuning.go, sourcerouting.go, pool.go, record.go, network.go, bandwidth.go, ports.go, routes.go, undo.go, request.go, role.go, static.go,
//     errors_command.go, errors_cni.go, errors_types.go, errors.go, deadline.go
package attach
