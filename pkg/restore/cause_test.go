package restore

import (
	"testing"

	"golang.org/x/sys/unix"

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
