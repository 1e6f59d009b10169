package restore

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// TestCause: the largest object of ours is named; what Patchbay itself, or what other tables lost, is no cause.
func TestCause(t *testing.T) {
	t.Parallel()
	table := nfnl.Removal{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_INET, Table: "patchbay"}
	element := nfnl.Removal{Kind: unix.NFT_MSG_DELSETELEM, Family: unix.NFPROTO_BRIDGE, Table: "patchbay"}
	docker := nfnl.Removal{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_IPV6, Table: "filter", Chain: "DOCKER-USER"}
	for _, row := range []struct {
		program string
		removed []nfnl.Removal
		want    string
	}{
		{"nft", nil, ""},
		{"nft", []nfnl.Removal{docker, element, table, element}, "nft (process 7) deleted table inet patchbay"},
		{"nft", []nfnl.Removal{docker, element}, "nft (process 7) deleted elements of table bridge patchbay"},
		{"ip6tables", []nfnl.Removal{docker}, "ip6tables (process 7) deleted rules of chain DOCKER-USER"},
		{"", []nfnl.Removal{table}, "a program deleted table inet patchbay"},
		{"a\x1b[31m", []nfnl.Removal{table}, `a\x1b[31m (process 7) deleted table inet patchbay`},
		{"nft", []nfnl.Removal{{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_IPV4, Table: "patchbay"}}, ""},
		{"nft", []nfnl.Removal{{Kind: unix.NFT_MSG_DELTABLE, Family: unix.NFPROTO_INET, Table: "patchbay2"}}, ""},
		{"nft", []nfnl.Removal{{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_INET, Table: "filter", Chain: "DOCKER-USER"}}, ""},
		{"nft", []nfnl.Removal{{Kind: unix.NFT_MSG_DELRULE, Family: unix.NFPROTO_IPV4, Table: "filter", Chain: "DOCKER"}}, ""},
		{"patchbay", []nfnl.Removal{table}, ""},
		{"portmap", []nfnl.Removal{table}, ""},
		{"buildkit-cni-br", []nfnl.Removal{table}, ""},
	} {
		if got := cause(&nfnl.Transaction{Removed: row.removed, PID: 7, Program: row.program}); got != row.want {
			t.Errorf("%s %v: got %q, want %q", row.program, row.removed, got, row.want)
		}
	}
}
