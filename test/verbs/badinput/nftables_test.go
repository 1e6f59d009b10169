package badinput

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// instead is the executable that this one replaces itself with after it has blocked its own access to nf_tables.
const instead = "PATCHBAY_TEST_WITHOUT_NFTABLES"

// TestMain can run patchbay, from this executable, as on a kernel without nf_tables.
func TestMain(m *testing.M) {
	if program := os.Getenv(instead); program != "" {
		err := withoutNFTables()
		if err == nil {
			err = syscall.Exec(program, []string{program}, os.Environ())
		}
		fmt.Fprintf(os.Stderr, "become %s without nf_tables: %v\n", program, err)
		os.Exit(127)
	}
	os.Exit(m.Run())
}

// withoutNFTables installs a seccomp filter that refuses netfilter sockets, as a kernel without nf_tables does.
func withoutNFTables() error {
	runtime.LockOSThread()
	const number, family, protocol = 0, 16, 32 // in struct seccomp_data: the call, and the lower halves of its arguments
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: skip}
	}
	filter := []unix.SockFilter{
		load(number), unless(unix.SYS_SOCKET, 5),
		load(family), unless(unix.AF_NETLINK, 3),
		load(protocol), unless(unix.NETLINK_NETFILTER, 1),
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// bare returns the executable that runs patchbay as on a kernel without nf_tables.
func bare(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return nettest.Script(t, instead+"="+nettest.Patchbay(t)+" exec "+self)
}

// TestWithoutNFTables: a network with ipMasq fails with an error that says so; networks that need no ruleset work.
//
// Claim: STATUS returns code 50 or 51, with ADD's message, where every ADD fails, and 0 where ADD succeeds: for each state of bridge,
// kernel, files and pools
// Claim: Without the capability or without nf_tables there is an immediate error with the reason and no change; networks without
// masquerading are not affected
func TestWithoutNFTables(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnetWith(`"isGateway": true`))
	b.call.Plugin = bare(t)
	b.try(t, []row{{
		name: "ipMasq without nf_tables", config: subnetWith(`"isGateway": true, "ipMasq": true`), code: 108,
		msg: "no nf_tables in this kernel: open netlink socket: protocol not supported", details: "modprobe nf_tables nft_chain_nat nft_nat nft_masq nft_ct nft_fib_inet), or remove ipMasq, portMappings and ingressPolicy from the configuration",
	}})
	status := b.call
	status.Command, status.Config = "STATUS", []byte(subnetWith(`"cniVersion": "1.1.0", "isGateway": true, "ipMasq": true`))
	if e := b.CNI(t, status).Error(t); e.Code != 51 || e.Msg != "no container can be attached: no nf_tables in this kernel: open netlink socket: protocol not supported" {
		t.Errorf("STATUS says %+v", e)
	}
	for _, config := range []string{subnetWith(`"isGateway": true`), network(`"bridge": "br0", "ipMasq": true`)} {
		call := b.call
		call.Config = []byte(config)
		b.CNI(t, call).OK(t)
		call.Command = "DEL"
		b.CNI(t, call).OK(t)
	}
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the round robin position changed; it is not a reservation
	b.unchanged(t)
}

// TestDelWithoutNFTables: an attachment that was added with nf_tables can be deleted without.
//
// Claim: Without the capability or without nf_tables there is an immediate error with the reason and no change; networks without
// masquerading are not affected
// Claim: STATUS of a masquerading network is 50 for a newer or foreign table and without nf_tables, and 51 if containers are cut off by it
func TestDelWithoutNFTables(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	nettest.Need(t, nettest.Tool("nft"))
	b.Oracle(nettest.Attachment)
	config := []byte(subnetWith(`"isGateway": true, "ipMasq": true`))
	call := b.call
	call.Config = config
	b.CNI(t, call).OK(t)
	b.Run(t, "nft", "flush", "ruleset") // a kernel without nf_tables has no ruleset
	call.Plugin = bare(t)
	status := call
	status.Command, status.Config = "STATUS", []byte(strings.Replace(string(config), `"1.0.0"`, `"1.1.0"`, 1))
	if e := b.CNI(t, status).Error(t); e.Code != 51 || !strings.Contains(e.Msg, "no nf_tables in this kernel") {
		t.Errorf("STATUS with a container that is cut off says %+v", e)
	}
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	if e := b.CNI(t, status).Error(t); e.Code != 50 {
		t.Errorf("STATUS says %+v", e)
	}
	b.NoLeaks(t)
}
