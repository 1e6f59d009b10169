package restore

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// maxComm is the length to which the kernel cuts the name of a program (TASK_COMM_LEN without its zero byte).
const maxComm = 15

// cause returns what a transaction removed of what Patchbay has in nftables, or that it created the chain in which Patchbay has rules for
// docker; "" if nothing, or if Patchbay made it.
func cause(t *nfnl.Transaction) string {
	if isOurs(t.Program) {
		return ""
	}
	by := "a program"
	if t.Program != "" {
		by = fmt.Sprintf("%s (process %d)", printable.Text(t.Program, maxComm), t.PID)
	}
	if most := removed(t); most != "" {
		return by + " deleted " + most
	}
	for _, c := range t.Chains { // docker starts after the containers, and may drop what is forwarded
		if firewall.IsUserChain(c.Family, c.Table, c.Chain) {
			return by + " created chain " + c.Chain
		}
	}
	return ""
}

// removed returns a noun for the largest object that a transaction removed of Patchbay's, "" if it removed none.
func removed(t *nfnl.Transaction) string {
	most, rank := "", -1
	for _, r := range t.Removed {
		if what := concerns(r); what != "" && rankOf(r) > rank {
			most, rank = what, rankOf(r)
		}
	}
	return most
}

// rankOf orders removals: that of a whole table says the most, one in the chain of docker the least.
func rankOf(r nfnl.Object) int {
	if !nft.IsTable(r.Family, r.Table) {
		return 0
	}
	order := []uint16{unix.NFT_MSG_DELSETELEM, unix.NFT_MSG_DELRULE, unix.NFT_MSG_DELSET, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_DELTABLE}
	return 1 + slices.Index(order, r.Kind)
}

// isOurs reports whether a program is Patchbay, by one of the names that it is installed under. A program that only has
// such a name is taken for it: its changes are found at the next reload.
func isOurs(program string) bool {
	is := func(name string) bool { return program == name[:min(len(name), maxComm)] }
	return is("patchbay") || slices.ContainsFunc(names.Files(), is)
}

// concerns returns a noun for a removed object if it is one of Patchbay, or of the chain in which it has rules for docker.
func concerns(r nfnl.Object) string {
	family := map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}[r.Family]
	switch {
	case nft.IsTable(r.Family, r.Table):
		return part(r.Kind, "table "+family+" "+r.Table)
	case firewall.IsUserChain(r.Family, r.Table, r.Chain):
		return part(r.Kind, "chain "+r.Chain)
	}
	return ""
}

// part returns which part of a table or a chain was removed.
func part(kind uint16, of string) string {
	switch kind {
	case unix.NFT_MSG_DELCHAIN:
		return "a chain of " + of
	case unix.NFT_MSG_DELRULE:
		return "rules of " + of
	case unix.NFT_MSG_DELSET:
		return "a set of " + of
	case unix.NFT_MSG_DELSETELEM:
		return "elements of " + of
	}
	return of
}
