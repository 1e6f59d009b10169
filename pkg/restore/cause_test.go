package restore

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// TestCause: the largest object of ours is named; what Patchbay itself, or what other tables lost, is no cause.
func TestCause(t *testing.T) {
	t.Parallel()
	table := nfnl.Object{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_INET, Table: "patchbay"}
	element := nfnl.Object{Kind: unix.NFT_MSG_DELSETELEM, Family: unix.NFPROTO_BRIDGE, Table: "patchbay"}
	docker := nfnl.Object{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_IPV6, Table: "filter", Chain: "DOCKER-USER"}
	for _, row := range []struct {
		program string
		removed []nfnl.Object
		want    string
	}{
		{"nft", nil, ""},
		{"nft", []nfnl.Object{docker, element, table, element}, "nft (process 7) deleted table inet patchbay"},
		{"nft", []nfnl.Object{docker, element}, "nft (process 7) deleted elements of table bridge patchbay"},
		{"ip6tables", []nfnl.Object{docker}, "ip6tables (process 7) deleted rules of chain DOCKER-USER"},
		{"", []nfnl.Object{table}, "a program deleted table inet patchbay"},
		{"a\x1b[31m", []nfnl.Object{table}, `a\x1b[31m (process 7) deleted table inet patchbay`},
		{"nft", []nfnl.Object{{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_IPV4, Table: "patchbay"}}, ""},
		{"nft", []nfnl.Object{{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_INET, Table: "patchbay2"}}, ""},
		{"nft", []nfnl.Object{{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_INET, Table: "filter", Chain: "DOCKER-USER"}}, ""},
		{"nft", []nfnl.Object{{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_IPV4, Table: "filter", Chain: "DOCKER"}}, ""},
		{"patchbay", []nfnl.Object{table}, ""},
		{"portmap", []nfnl.Object{table}, ""},
		{"buildkit-cni-br", []nfnl.Object{table}, ""},
	} {
		if got := cause(&nfnl.Transaction{Removed: row.removed, PID: 7, Program: row.program}); got != row.want {
			t.Errorf("%s %v: got %q, want %q", row.program, row.removed, got, row.want)
		}
	}
}

// TestCauseOfChain: the chain of docker is a cause when it is created, since docker may start after the containers.
func TestCauseOfChain(t *testing.T) {
	t.Parallel()
	user := nfnl.Object{Kind: unix.NFT_MSG_NEWCHAIN, Family: unix.NFPROTO_IPV4, Table: "filter", Chain: "DOCKER-USER"}
	policy := nfnl.Object{Kind: unix.NFT_MSG_NEWCHAIN, Family: unix.NFPROTO_IPV4, Table: "filter", Chain: "FORWARD"}
	other := nfnl.Object{Kind: unix.NFT_MSG_NEWCHAIN, Family: unix.NFPROTO_INET, Table: "filter", Chain: "DOCKER-USER"}
	table := nfnl.Object{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_INET, Table: "patchbay"}
	for _, row := range []struct {
		made nfnl.Transaction
		want string
	}{
		{nfnl.Transaction{Program: "iptables", PID: 7, Chains: []nfnl.Object{policy, user}}, "iptables (process 7) created chain DOCKER-USER"},
		{nfnl.Transaction{Program: "nft", PID: 7, Removed: []nfnl.Object{table}, Chains: []nfnl.Object{user}}, "nft (process 7) deleted table inet patchbay"},
		{nfnl.Transaction{Program: "iptables", PID: 7, Chains: []nfnl.Object{policy, other}}, ""},
		{nfnl.Transaction{Program: "patchbay", PID: 7, Chains: []nfnl.Object{user}}, ""},
	} {
		if got := cause(&row.made); got != row.want {
			t.Errorf("%+v: got %q, want %q", row.made, got, row.want)
		}
	}
}

// TestExplain: what was lost is a cause if a restoration names it; a DEL at the same time, and a name that only begins alike, are none.
func TestExplain(t *testing.T) {
	t.Parallel()
	n := need{losses: []link.Loss{
		{Object: "veth1", Says: "interface veth1 was deleted"},
		{Object: "br7", Says: "IPv4 forwarding from br7 was disabled"},
		{Object: "10.9.7.1/24", Says: "address 10.9.7.1/24 was removed from br70"},
		{Object: "br70", Says: "interface br70 was deleted"},
	}}
	n.explain([]string{"veth10 is a port of bridge br7 again, for net/c1/eth0", "bridge br70 has 10.9.7.1/24, 10.9.8.1/24 again"})
	want := []string{"IPv4 forwarding from br7 was disabled", "address 10.9.7.1/24 was removed from br70", "interface br70 was deleted"}
	if !slices.Equal(n.causes, want) {
		t.Errorf("got %q, want %q", n.causes, want)
	}
}
