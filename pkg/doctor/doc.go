// Package doctor finds what keeps attached containers from being reached or from reaching others: disabled
// forwarding, a firewall that drops, deleted rules, a process of the host on a published port.
// It reads and changes nothing, and prints nothing.
//
//	report, err := doctor.Examine(doctor.Host{StateDir: "/run/patchbay"})
//
// Each finding has one sentence that says what is wrong, the evidence, and the commands that fix it. All lines
// of a fix can be pasted into a shell: what is not a command begins with #.
//
// doctor.go has the list of the checks; each other file holds a group of them.
package doctor
