// Package store stores the state of attachments in files: records, addresses,
// cursors and sticky memory, and the locks on them.
//
// It does not read or change network interfaces, routes or rules, and it decides
// nothing except which address is free; the order of candidates comes from package
// ipam.
//
//	a, err := store.Open(ctx, dirs, key)   // locked until Close
//	err = a.Reserve(ctx, record, request)  // saves the record, then the address files
//	err = a.Release(ctx)                   // deletes the address files
//	err = a.Remove()                       // deletes the record and unlocks
//	err = a.Close()
//
// Files:
//
//	<state>/<network>/<containerID>@<ifname>.json   record of an attachment, mode 0600
//	<data>/<network>/<ip>                           address: "<containerID>\r\n<ifname>", as host-local writes it
//	<data>/<network>/last_reserved_ip.<n>           cursor of range set n, as host-local writes it
//	<data>/<network>/lock                           lock of the addresses, as host-local takes it
//	<data>/<network>/.patchbay/<ip>                 mark of an address file, if <data> is outside <state>; see mark.go
//	<state>/.life                                   instance ID of the state directory
//	<state>/.ruleset                                lock of the host's ruleset
//	<state>/.elsewhere/, .isolating/, .bridges/, .netns/   notes about the host, as symbolic links
//	/var/lib/patchbay/sticky/<network>/             sticky memory; survives a reboot
//
// Constraints:
//
//   - A lock is a flock(2) on the record itself. A record is replaced by rename, so a
//     process that waited for the lock checks that its file still has that name.
//   - An empty record file is a lock without a record.
//   - Only sticky memory is synchronized to disk. A power failure that loses a
//     record or an address file also ends the interface that it describes.
//   - The state directory may be writable by root and the effective user only
//     (ErrUnsafe), and files in it are opened without following symbolic links
//     (ErrIrregular).
package store
