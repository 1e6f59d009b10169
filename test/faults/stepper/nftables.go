package stepper

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// describeRules describes messages to nftables or conntrack. A transaction is one buffer: the text has the number of messages of each kind,
// in the order of their first occurrence, and the names of the maps whose elements they change.
func describeRules(all []netlinkMessage) (text string, changing bool) {
	times, maps := map[string]int{}, map[string][]string{}
	var kinds []string
	for _, m := range all {
		if m.kind == unix.NFNL_MSG_BATCH_BEGIN || m.kind == unix.NFNL_MSG_BATCH_END {
			continue
		}
		kind, reads := ruleKind(m)
		changing = changing || !reads
		if times[kind]++; times[kind] == 1 {
			kinds = append(kinds, kind)
		}
		if name := mapName(m); name != "" && !slices.Contains(maps[kind], name) {
			maps[kind] = append(maps[kind], name)
		}
	}
	if len(kinds) == 0 && len(all) == 2 {
		return "nftables empty transaction", false
	}
	if len(kinds) == 0 {
		return "unknown message to netfilter", true
	}
	of := "nftables"
	if all[0].kind>>8 == unix.NFNL_SUBSYS_CTNETLINK {
		of = "conntrack"
	}
	for i, kind := range kinds {
		if times[kind] > 1 {
			kinds[i] = fmt.Sprintf("%d %s", times[kind], kind)
		}
		if len(maps[kind]) > 0 {
			kinds[i] += " " + strings.Join(maps[kind], " ")
		}
	}
	return of + " " + strings.Join(kinds, " + "), changing
}

// ruleKind returns a text such as "NEWCHAIN exclusive", and whether the message only reads.
func ruleKind(m netlinkMessage) (name string, reads bool) {
	if m.kind>>8 == unix.NFNL_SUBSYS_CTNETLINK {
		return flowKind(m)
	}
	kinds := strings.Fields("NEWTABLE GETTABLE DELTABLE NEWCHAIN GETCHAIN DELCHAIN NEWRULE GETRULE DELRULE NEWSET GETSET DELSET NEWSETELEM GETSETELEM DELSETELEM NEWGEN GETGEN")
	kind := int(m.kind & 0xff)
	if m.kind>>8 != unix.NFNL_SUBSYS_NFTABLES || kind >= len(kinds) {
		return fmt.Sprintf("message %#x", m.kind), false
	}
	name = kinds[kind]
	if strings.HasPrefix(name, "NEW") && m.flags&unix.NLM_F_EXCL != 0 {
		name += " exclusive"
	}
	return name, strings.HasPrefix(name, "GET")
}

// flowKind is ruleKind for conntrack (linux/netfilter/nfnetlink_conntrack.h). GET_CTRZERO, which resets counters, counts as a change.
func flowKind(m netlinkMessage) (name string, reads bool) {
	kinds := strings.Fields("NEW GET DELETE GET_CTRZERO GET_STATS_CPU GET_STATS GET_DYING GET_UNCONFIRMED")
	kind := int(m.kind & 0xff)
	if kind >= len(kinds) {
		return fmt.Sprintf("message %#x", m.kind), false
	}
	return kinds[kind], strings.HasPrefix(kinds[kind], "GET") && kinds[kind] != "GET_CTRZERO"
}

// mapName returns the map of a message about elements; "" for other messages.
func mapName(m netlinkMessage) (name string) {
	if m.kind>>8 != unix.NFNL_SUBSYS_NFTABLES {
		return ""
	}
	if kind := m.kind & 0xff; kind != unix.NFT_MSG_NEWSETELEM && kind != unix.NFT_MSG_GETSETELEM && kind != unix.NFT_MSG_DELSETELEM {
		return ""
	}
	attributes(m.body, nfgenmsgSize, func(kind uint16, value []byte) {
		if kind == unix.NFTA_SET_ELEM_LIST_SET {
			name = strings.TrimRight(string(value), "\x00")
		}
	})
	return name
}

// nfgenmsgSize is the size of the header after the netlink header: struct nfgenmsg of linux/netfilter/nfnetlink.h.
const nfgenmsgSize = 4
