// Package hostbridge makes a physical interface the port of a new bridge in such a way that the host stays
// reachable: the bridge is removed again unless it is confirmed in time, and if the process is killed. Package uplink
// changes the kernel. It must not create attachments, nor change a bridge that it did not create.
//
//	err := hostbridge.Create(ctx, hostbridge.Options{Bridge: "br0", Uplink: "eth0", Timeout: 30 * time.Second})
//	err := hostbridge.Confirm("br0") // in another process, meanwhile
//	err := hostbridge.Delete("br0")
//
// # Two processes
//
// Create starts a second process of the same program, the watchdog, in a session of its own. Each holds a pipe of
// the other, and whichever outlives the other restores the uplink. The watchdog has read the state and opened its
// sockets before anything changes. It restores also when the time is over; if Create then still moves addresses, the
// watchdog kills it first.
//
// # Files
//
// /run/patchbay/.bridge has a lock, which both processes hold, and while a bridge is not decided on one file with the
// state of its uplink, written and synchronized before the first change. Its name is the stage:
//
//	br0.setup   addresses are being moved
//	br0.wait    moved; removing this file keeps the bridge
//	br0.undo    the uplink is being restored
//
// Renaming and removing a file are atomic, so that a confirmation and the end of the time cannot both succeed.
// A bridge that is kept has no file: its alias, in the kernel, says that it was created here, and its uplink.
//
// Files, in reading order: create.go, decide.go, delete.go, confirm.go, watch.go, watchdog.go, stage.go, dir.go.
package hostbridge
