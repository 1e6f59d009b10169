package firewall

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// mark starts the comment of each of our rules; the bridge follows.
const mark = "patchbay:"

// Allow adds two rules for a bridge at the start of docker's chain DOCKER-USER, in
// table filter of iptables and of ip6tables, if the chain exists and the rules do
// not: accept everything from the bridge; accept what goes to the bridge if it
// belongs to a connection that was accepted, or was redirected by a published port.
//
//	-i BRIDGE -m comment --comment patchbay:BRIDGE -j ACCEPT
//	-o BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment patchbay:BRIDGE -j ACCEPT
//
// They are encoded as iptables-nft encodes them: it refuses the whole table if one
// rule has an expression that it does not know. A rule with our comment and another
// content is replaced. Without the chain nothing is done. Allow reports whether it
// changed something. The caller holds a lock that all builders of this host take. On a kernel without
// these matches (NETFILTER_XTABLES=n, or its modules are not there) the error wraps ErrNoMatches.
func (f *Filters) Allow(bridge string) (changed bool, err error) {
	return f.edit("allow "+bridge+" in "+userChain, func(p place) ([]nlsock.Message, error) {
		messages, err := f.allowing(p, bridge)
		if err == nil && len(messages) > 0 {
			err = f.requireMatches(p.family, neededMatches())
		}
		return messages, err
	})
}

// IsUserChain reports whether a chain, by the family (unix.NFPROTO_*) and the name of
// its table and its own name, is the one in which Allow adds rules.
func IsUserChain(family byte, table, chain string) bool {
	return chain == userChain && table == "filter" && (family == unix.NFPROTO_IPV4 || family == unix.NFPROTO_IPV6)
}

// Needs reports whether Allow would change something. It changes nothing.
func (f *Filters) Needs(bridge string) (needs bool, err error) {
	f.begin()
	for _, p := range userChains() {
		messages, err := f.allowing(p, bridge)
		if err != nil {
			return needs, fmt.Errorf("look up rules of %s in %s: %w", bridge, userChain, err)
		}
		needs = needs || len(messages) > 0
	}
	return needs, nil
}

// Disallow removes the rules of Allow for a bridge, and reports whether there were
// any.
func (f *Filters) Disallow(bridge string) (changed bool, err error) {
	return f.edit("disallow "+bridge+" in "+userChain, func(p place) (messages []nlsock.Message, err error) {
		rules, err := f.ours(p)
		for _, r := range rules {
			if err == nil && r.bridge == bridge {
				messages, err = appendMessage(messages, deletion(p, r.handle))
			}
		}
		return messages, err
	})
}

// Allowed returns the bridges that have rules of Allow, sorted.
func (f *Filters) Allowed() (bridges []string, err error) {
	f.begin()
	for _, p := range userChains() {
		rules, err := f.ours(p)
		if err != nil {
			return nil, fmt.Errorf("list rules in %s: %w", userChain, err)
		}
		for _, r := range rules {
			bridges = append(bridges, r.bridge)
		}
	}
	slices.Sort(bridges)
	return slices.Compact(bridges), nil
}

// userChains returns DOCKER-USER of both families.
func userChains() []place {
	return []place{{false, unix.NFPROTO_IPV4, "filter", userChain}, {false, unix.NFPROTO_IPV6, "filter", userChain}}
}

// edit commits the changes that each of the chains needs, one transaction for each.
func (f *Filters) edit(what string, change func(place) ([]nlsock.Message, error)) (changed bool, err error) {
	f.begin()
	for _, p := range userChains() {
		messages, err := change(p)
		if err == nil && len(messages) > 0 {
			err = f.conn.Commit(messages)
			changed = changed || err == nil
		}
		if err != nil {
			return changed, fmt.Errorf("%s of table %s filter: %w", what, familyName(p.family), err)
		}
	}
	return changed, nil
}

// ourRule is a rule with our comment.
type ourRule struct {
	rule
	bridge string
}

// ours lists our rules in a chain; none if the chain does not exist.
func (f *Filters) ours(p place) (ours []ourRule, err error) {
	rules, err := f.rules(p)
	if errors.Is(err, unix.ENOENT) || nfnl.IsUnsupported(err) {
		return nil, nil
	}
	for _, r := range rules {
		if bridge, is := strings.CutPrefix(r.xtComment(), mark); is && bridge != "" {
			ours = append(ours, ourRule{r, bridge})
		}
	}
	return ours, err
}

// xtComment returns the comment of iptables' match "comment".
func (r rule) xtComment() string {
	for _, e := range r.expressions {
		if e.name == "match" && e.with.text(unix.NFTA_MATCH_NAME) == "comment" {
			return e.with.text(unix.NFTA_MATCH_INFO)
		}
	}
	return ""
}

// wanted is a rule of Allow, and its match in the words of iptables(8).
type wanted struct {
	form  ruleForm
	words []string
}

// wantedRules returns the rules of Allow. Each is inserted at the start, so they are in reverse order.
func wantedRules(bridge string) []wanted {
	return []wanted{
		{toBridge(bridge), []string{"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT"}},
		{fromBridge(bridge), []string{"-i", bridge}},
	}
}

// difference returns the rules that a chain lacks, and our rules with other content, or duplicates; none if the chain does not exist.
func (f *Filters) difference(p place, bridge string) (missing []wanted, wrong []ourRule, err error) {
	has, err := f.hasChain(p)
	if err != nil || !has {
		return nil, nil, err
	}
	there, err := f.ours(p)
	if err != nil {
		return nil, nil, err
	}
	there = slices.DeleteFunc(there, func(r ourRule) bool { return r.bridge != bridge })
	for _, want := range wantedRules(bridge) {
		at := slices.IndexFunc(there, func(r ourRule) bool { return want.form.matches(r.rule) })
		if at >= 0 {
			there = slices.Delete(there, at, at+1)
			continue
		}
		missing = append(missing, want)
	}
	return missing, there, nil
}

// allowing returns the messages that bring a chain into the state that Allow wants.
func (f *Filters) allowing(p place, bridge string) (messages []nlsock.Message, err error) {
	missing, wrong, err := f.difference(p, bridge)
	for _, want := range missing {
		if messages, err = appendMessage(messages, insertion(p, want.form)); err != nil {
			return nil, err
		}
	}
	for _, r := range wrong {
		if messages, err = appendMessage(messages, deletion(p, r.handle)); err != nil {
			return nil, err
		}
	}
	return messages, err
}

// Commands returns what Allow would do as commands of iptables(8) and nft(8), and changes nothing.
func (f *Filters) Commands(bridge string) (commands [][]string, err error) {
	f.begin()
	for _, p := range userChains() {
		missing, wrong, err := f.difference(p, bridge)
		if err != nil {
			return nil, fmt.Errorf("look up rules of %s in %s: %w", bridge, userChain, err)
		}
		for _, want := range missing {
			commands = append(commands, want.command(p, bridge))
		}
		for _, r := range wrong {
			commands = append(commands, []string{"nft", "delete", "rule", familyName(p.family), p.table, p.name, "handle", strconv.FormatUint(r.handle, 10)})
		}
	}
	return commands, nil
}

// AllowedCommands returns the commands for the rules that a bridge has already.
func (f *Filters) AllowedCommands(bridge string) (commands [][]string, err error) {
	f.begin()
	for _, p := range userChains() {
		there, err := f.ours(p)
		if err != nil {
			return nil, fmt.Errorf("list rules in %s: %w", userChain, err)
		}
		for _, want := range wantedRules(bridge) {
			if slices.ContainsFunc(there, func(r ourRule) bool { return r.bridge == bridge && want.form.matches(r.rule) }) {
				commands = append(commands, want.command(p, bridge))
			}
		}
	}
	return commands, nil
}

// command returns the command that inserts the rule into a chain.
func (w wanted) command(p place, bridge string) []string {
	program := "iptables"
	if p.family == unix.NFPROTO_IPV6 {
		program = "ip6tables"
	}
	return slices.Concat([]string{program, "-w", "-I", p.name}, w.words, []string{"-m", "comment", "--comment", mark + bridge, "-j", "ACCEPT"})
}

// hasChain reports whether a chain exists.
func (f *Filters) hasChain(p place) (bool, error) {
	answers, err := f.ask(unix.NFT_MSG_GETCHAIN, 0, p.family, []netlink.Attribute{
		{Type: unix.NFTA_CHAIN_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_CHAIN_NAME, Data: cstring(p.name)},
	})
	if errors.Is(err, unix.ENOENT) || nfnl.IsUnsupported(err) {
		return false, nil
	}
	return len(answers) > 0, err
}

// matches reports whether a rule has this form: equal expressions, apart from what
// the counter has counted.
func (w ruleForm) matches(r rule) bool {
	rest := slices.DeleteFunc(slices.Clone(r.expressions), func(e expression) bool { return e.name == "counter" })
	return slices.EqualFunc(w, rest, func(want step, got expression) bool {
		wanted, err := parse(want.data)
		return err == nil && want.name == got.name && significant(expression{want.name, wanted}) == significant(got)
	})
}

// significant returns the part of an expression that its meaning depends on. iptables
// pads interface names with zeros.
func significant(e expression) string {
	trimmed := func(data []byte) string { return string(bytes.TrimRight(data, "\x00")) }
	switch e.name {
	case "meta":
		return fmt.Sprint(e.with.number(unix.NFTA_META_KEY))
	case "cmp":
		return fmt.Sprint(e.with.number(unix.NFTA_CMP_OP), trimmed(e.with.nested(unix.NFTA_CMP_DATA).values[unix.NFTA_DATA_VALUE]))
	case "match":
		return fmt.Sprint(e.with.text(unix.NFTA_MATCH_NAME), e.with.number(unix.NFTA_MATCH_REV), trimmed(e.with.values[unix.NFTA_MATCH_INFO]))
	default:
		return fmt.Sprint(verdictOf(e.with.nested(unix.NFTA_IMMEDIATE_DATA)))
	}
}
