// Package parity runs the reference plugins bridge and host-local (v1.9.1) and the built binary, each on an identical host, with networks that differ
// only in the two keys `type`, and compares what runtime, container and host see of two attachments from ADD to DEL. Allowed differences are on a
// closed list; any other difference fails, and so does an allowance that no row uses. The results are in table.md.
//
// Rows of tuning, sbr and bandwidth have these plugins behind bridge on the side of the reference, and their keys in the one plugin on the other.
//
// Every key of the reference is in a row. VLANs have rows only where both sides refuse them or none is asked for, because the kernels of most
// machines that run this package lack VLAN filtering: package test/network/vlan compares them with the reference in a virtual machine. The plugins
// portmap, firewall, bandwidth, tuning, sbr and static are also compared under their names in package test/verbs/names. The effect of each key is tested
// in package verbs.
package parity
