package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// architecture is what differs between the machines of two architectures.
type architecture struct {
	name    string   // as Go and Debian name it
	triplet string   // of the directories of libraries
	crypto  string   // directory of modules, below kernel/arch
	qemu    []string // arguments: the machine, its CPU, and a second serial port, connected to stdio
	console string   // of the kernel: the first serial port
	port    string   // the second one
}

// architectures returns the architectures that are emulated. The second port of the machine "virt" is a PCI card, because the second one on its board is for
// the secure world alone.
func architectures() []architecture {
	return []architecture{
		{"amd64", "x86_64-linux-gnu", "x86", []string{"-cpu", "max", "-serial", "stdio"}, "ttyS0", "/dev/ttyS1"},
		{"arm64", "aarch64-linux-gnu", "arm64", []string{"-M", "virt", "-cpu", "cortex-a76", "-chardev", "stdio,id=tests", "-device", "pci-serial,chardev=tests"}, "ttyAMA0", "/dev/ttyS0"},
	}
}

// arch returns the architecture of the kernel: amd64 unless its name says another one.
func (j *job) arch() architecture {
	all := architectures()
	return all[max(0, slices.IndexFunc(all, func(a architecture) bool { return slices.Contains(j.kind(), a.name) }))]
}

// kind returns the parts of the kernel's name: "6.12" and "arm64" of 6.12-arm64.
func (j *job) kind() []string { return strings.Split(j.name, "-") }

// moduleDirs returns the parts of a kernel package that the tests need, below kernel.
func (a architecture) moduleDirs() []string {
	return []string{"net", "lib", "crypto", filepath.Join("arch", a.crypto, "crypto"), "fs/overlayfs", "drivers/net"}
}

// Modules of x_tables. Those of legacy are what a kernel with NETFILTER_XTABLES_LEGACY=n lacks (net/netfilter/Kconfig, since 6.17): iptables-nft works there by
// nft_compat. A kernel with NETFILTER_XTABLES=n has none of both: nf_tables is all there is.
var (
	legacy  = regexp.MustCompile(`^((ip|ip6|arp)_tables|(iptable|ip6table|arptable|ebtable)_.*|ebtables)$`)
	xtables = regexp.MustCompile(`^(x_tables|(xt|ipt|ip6t|arpt|ebt)_.*|nft_compat|em_ipt|act_ipt|act_xt)$`)
)

// lacks reports whether the kernel is to lack a module.
func (j *job) lacks(module string) bool {
	return slices.Contains(j.kind(), "nolegacy") && legacy.MatchString(module) ||
		slices.Contains(j.kind(), "noxtables") && (legacy.MatchString(module) || xtables.MatchString(module))
}
