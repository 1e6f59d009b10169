// Package cli implements what the commands for people share: it finds the network, the network namespace
// and the attachment that arguments name, and makes the requests for package attach from them.
// It never attaches or detaches anything itself, and prints nothing.
//
//	target, err := cli.Targets{Proc: "/proc"}.Find("web")
//	network, err := cli.Find("/etc/cni/net.d", "lan")
//	request := cli.Selection{}.Request(network, target, "eth0")
package cli
