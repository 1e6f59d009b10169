// Package wire has the messages between package vm and the program vmguest: a line of JSON each, on a virtio serial port.
package wire

// Port is the name of the serial port.
const Port = "patchbay"

// Request is a command to run as root.
type Request struct {
	ID    int
	Args  []string
	Stdin []byte
}

// Answer is the end of a command; the one with a Boot is the first of each boot, and belongs to none.
type Answer struct {
	Boot           string `json:",omitempty"` // boot ID
	ID             int
	Exit           int // exit status; -1 after a signal
	Stdout, Stderr []byte
	Error          string `json:",omitempty"` // why the command did not run
}
