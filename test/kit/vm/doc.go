// Package vm boots virtual machines: a Debian root file system with systemd and Debian's stock kernel, in qemu without KVM. It tests
// nothing itself, and gives the machine no network but the taps that the test names.
//
//	m := vm.Start(t, router.Netns, "tap0")
//	m.Run(t, "systemctl", "start", "systemd-networkd")
//	m.Reboot(t)
//
// `make test-boot` builds the image, once, and puts everything under .cache/vm. A machine never changes the image: what it writes goes to a
// temporary file that a reboot and a power cycle keep, and that ends with the machine.
//
// Commands run by a virtio serial port, not by the network, so they work while the network of the machine is being changed. At most two
// machines run at once; Start waits for the others.
//
// Files, in reading order: machine.go, power.go, command.go, boot.go, wire (the messages), vmguest (the program in the machine).
package vm
