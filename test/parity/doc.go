// Package parity runs the reference's bridge and host-local plugins (v1.9.1) and the built binary, each on a host of the same shape,
// with the same network but for the two words `type`, and compares what a runtime, a container and the host see of two attachments
// from ADD to DEL. What may differ is the closed list of allowances; what differs otherwise fails, and an allowance that nothing
// uses fails too. The table of all rows is written to table.md.
//
// Keys of the reference that this version refuses are no rows: vlan, vlanTrunk, preserveDefaultVlan, macspoofchk and portIsolation
// of bridge. It never tests what a key means by itself; package verbs does.
package parity
