// Package doctor looks for what keeps containers of Patchbay from being reached, or from reaching
// others, though their attachments are there: a host that does not forward, a firewall that drops,
// rules that somebody has flushed, a port that a process of the host wants too.
// It reads and changes nothing, and prints nothing.
//
//	found, err := doctor.Examine(doctor.Host{StateDir: "/run/patchbay"})
//
// Each finding says what is wrong and whom it hurts, what was seen, and the commands that mend it: all
// lines can be pasted into a shell, for what is no command begins with #.
package doctor
