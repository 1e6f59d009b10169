// Package faults injects one fault per run into the built binary: a system call that fails, a netlink request that the kernel refuses,
// a lost or interrupted reply. Then it checks what is left behind. Package crash kills the binary instead.
package faults
