// Package netconfig writes the configuration of a bridge for the program that configures the network of a host
// at boot: systemd-networkd, NetworkManager, netplan or ifupdown. It does not read or change configurations that exist, and
// starts no program.
//
//	files, notes, err := netconfig.Files(netconfig.Networkd, bridge)
//	err = netconfig.Write(files) // new files only
//	paths := netconfig.Written("br0", "eth0") // those of an earlier Write
//
// A bridge can have what a format cannot express, or what belongs to another place: the notes say so, a sentence each.
//
// Files, in reading order: files.go, write.go, networkd.go, manager.go, netplan.go, ifupdown.go, bridge.go, text.go.
package netconfig
