// Package store owns the state files: records, address files, cursors, sticky memory, and the
// locks on them.
// It never touches the kernel's network state and decides nothing but which address is free.
//
//	a, err := store.Open(ctx, dirs, key)       // locked for the whole verb
//	err = a.Reserve(ctx, record, request)      // record first, then the address files
//	err = a.Release(ctx); err = a.Close()      // addresses, then the record; unlock
//
// The forms on disk:
//
//	<state>/<network>/<containerID>@<ifname>.json   the record of an attachment, 0600
//	<data>/<network>/<ip>                           an address: "<containerID>\r\n<ifname>", as host-local
//	<data>/<network>/last_reserved_ip.<n>, lock     cursor of range set n, lock, as host-local
//	<data>/<network>/.patchbay/<ip>                 that an address is ours, and of which life of the host, where
//	                                                <data> is outside <state>: a link that leads nowhere
//	<state>/.life                                   the life of the state directory, made for the first mark
//	/var/lib/patchbay/sticky/<network>/             who had which address; survives a reboot
//
// Be aware: a lock is a flock(2) on the record itself, so a record is replaced by rename and
// a waiter looks again whether what it got is still what the name leads to. An empty record
// is a lock without a record. Nothing is fsynced but sticky memory: what a power failure
// takes from /run it takes from the kernel too.
package store
