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

// instead is the program that this one becomes after it has taken nf_tables from itself.
const instead = "PATCHBAY_TEST_WITHOUT_NFTABLES"

// TestMain lets this program be patchbay on a kernel without nf_tables.
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

// withoutNFTables has the kernel refuse a socket to netfilter, as one that was built without it does.
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

// bare is patchbay on a kernel without nf_tables.
func bare(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return nettest.Script(t, instead+"="+nettest.Patchbay(t)+" exec "+self)
}

// TestWithoutNFTables: who asks for ipMasq where it cannot be is told; everybody else lives without.
func TestWithoutNFTables(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnetWith(`"isGateway": true`))
	b.call.Plugin = bare(t)
	b.try(t, []row{{
		name: "ipMasq without nf_tables", config: subnetWith(`"isGateway": true, "ipMasq": true`), code: 108,
		msg: "this kernel has no nf_tables: protocol not supported", details: "modprobe nf_tables nft_chain_nat nft_nat nft_masq nft_ct nft_fib_inet), or do without ipMasq, portMappings and ingressPolicy",
	}})
	for _, config := range []string{subnetWith(`"isGateway": true`), network(`"bridge": "br0", "ipMasq": true`)} {
		call := b.call
		call.Config = []byte(config)
		b.CNI(t, call).OK(t)
		call.Command = "DEL"
		b.CNI(t, call).OK(t)
	}
	b.Allow("file /run/patchbay/ipam/net/last_reserved_ip.0") // the cursor went on; it is no reservation
	b.unchanged(t)
}

// TestNFTablesGoAway: what was attached while there was nf_tables can be taken down without.
func TestNFTablesGoAway(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	nettest.Need(t, nettest.Tool("nft"))
	b.Oracle(nettest.Attachment)
	config := []byte(subnetWith(`"isGateway": true, "ipMasq": true`))
	call := b.call
	call.Config = config
	b.CNI(t, call).OK(t)
	b.Run(t, "nft", "flush", "ruleset") // nor is there anything in a kernel that has none
	call.Plugin = bare(t)
	status := call
	status.Command, status.Config = "STATUS", []byte(strings.Replace(string(config), `"1.0.0"`, `"1.1.0"`, 1))
	if e := b.CNI(t, status).Error(t); e.Code != 51 || !strings.Contains(e.Msg, "this kernel has no nf_tables") {
		t.Errorf("STATUS with a container that is cut off says %+v", e)
	}
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	if e := b.CNI(t, status).Error(t); e.Code != 50 {
		t.Errorf("STATUS says %+v", e)
	}
	b.NoLeaks(t)
}
