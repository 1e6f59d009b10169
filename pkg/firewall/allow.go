package firewall

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// mark begins the comment of each of our rules; behind it is the bridge.
const mark = "patchbay:"

// Allow puts two rules for a bridge at the head of docker's chain DOCKER-USER, in table filter of
// iptables and of ip6tables, where that chain is and they are not: from the bridge everything, to the
// bridge what belongs to a connection that was let through, or that a published port has redirected.
//
//	-i BRIDGE -m comment --comment patchbay:BRIDGE -j ACCEPT
//	-o BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment patchbay:BRIDGE -j ACCEPT
//
// They are written as iptables writes them: an expression that it does not know makes it refuse the
// whole table. A rule of ours that says something else is replaced. Without the chain nothing is done.
// It reports whether something was changed. The caller holds a lock that all builders of this host take.
func (f *Filters) Allow(bridge string) (changed bool, err error) {
	return f.edit("allow "+bridge+" in "+userChain, func(p place) ([]netlink.Message, error) {
		return f.allowing(p, bridge)
	})
}

// Needs reports whether Allow would change something, and changes nothing.
func (f *Filters) Needs(bridge string) (needs bool, err error) {
	f.begin()
	for _, p := range userChains() {
		messages, err := f.allowing(p, bridge)
		if err != nil {
			return needs, fmt.Errorf("look whether %s is allowed in %s: %w", bridge, userChain, err)
		}
		needs = needs || len(messages) > 0
	}
	return needs, nil
}

// Disallow removes what Allow put there for a bridge, and reports whether there was something.
func (f *Filters) Disallow(bridge string) (changed bool, err error) {
	return f.edit("disallow "+bridge+" in "+userChain, func(p place) (messages []netlink.Message, err error) {
		rules, err := f.ours(p)
		for _, r := range rules {
			if err == nil && r.bridge == bridge {
				messages, err = appendMessage(messages, deletion(p, r.handle))
			}
		}
		return messages, err
	})
}

// Allowed are the bridges that have rules of Allow, sorted.
func (f *Filters) Allowed() (bridges []string, err error) {
	f.begin()
	for _, p := range userChains() {
		rules, err := f.ours(p)
		if err != nil {
			return nil, fmt.Errorf("look who is allowed in %s: %w", userChain, err)
		}
		for _, r := range rules {
			bridges = append(bridges, r.bridge)
		}
	}
	slices.Sort(bridges)
	return slices.Compact(bridges), nil
}

func userChains() []place {
	return []place{{false, unix.NFPROTO_IPV4, "filter", userChain}, {false, unix.NFPROTO_IPV6, "filter", userChain}}
}

// edit makes the changes that each of the chains needs; each is a transaction of its own.
func (f *Filters) edit(what string, change func(place) ([]netlink.Message, error)) (changed bool, err error) {
	f.begin()
	for _, p := range userChains() {
		messages, err := change(p)
		if err == nil && len(messages) > 0 {
			err = f.commit(messages)
			changed = changed || err == nil
		}
		if err != nil {
			return changed, fmt.Errorf("%s of table %s filter: %w", what, familyName(p.family), err)
		}
	}
	return changed, nil
}

// ourRule is a rule with our mark in its comment.
type ourRule struct {
	rule
	bridge string
}

// ours lists our rules in a chain; nothing if there is no such chain.
func (f *Filters) ours(p place) (ours []ourRule, err error) {
	rules, err := f.rules(p)
	if errors.Is(err, unix.ENOENT) || isUnsupported(err) {
		return nil, nil
	}
	for _, r := range rules {
		if bridge, is := strings.CutPrefix(r.xtComment(), mark); is && bridge != "" {
			ours = append(ours, ourRule{r, bridge})
		}
	}
	return ours, err
}

// xtComment is that of iptables' match of the name.
func (r rule) xtComment() string {
	for _, e := range r.expressions {
		if e.name == "match" && e.with.text(unix.NFTA_MATCH_NAME) == "comment" {
			return e.with.text(unix.NFTA_MATCH_INFO)
		}
	}
	return ""
}

// allowing is what must be done to a chain for a bridge.
func (f *Filters) allowing(p place, bridge string) (messages []netlink.Message, err error) {
	has, err := f.hasChain(p)
	if err != nil || !has {
		return nil, err
	}
	there, err := f.ours(p)
	if err != nil {
		return nil, err
	}
	there = slices.DeleteFunc(there, func(r ourRule) bool { return r.bridge != bridge })
	for _, want := range []form{toBridge(bridge), fromBridge(bridge)} { // the last comes first in the chain
		at := slices.IndexFunc(there, func(r ourRule) bool { return want.matches(r.rule) })
		if at >= 0 {
			there = slices.Delete(there, at, at+1)
			continue
		}
		if messages, err = appendMessage(messages, insertion(p, want)); err != nil {
			return nil, err
		}
	}
	for _, r := range there { // of another patchbay's form, or twice
		if messages, err = appendMessage(messages, deletion(p, r.handle)); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

func (f *Filters) hasChain(p place) (bool, error) {
	answers, err := f.ask(unix.NFT_MSG_GETCHAIN, 0, p.family, []netlink.Attribute{
		{Type: unix.NFTA_CHAIN_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_CHAIN_NAME, Data: cstring(p.name)},
	})
	if errors.Is(err, unix.ENOENT) || isUnsupported(err) {
		return false, nil
	}
	return len(answers) > 0, err
}

// matches says whether a rule has this form: the same expressions that say the same, but for what
// the counter has counted.
func (w form) matches(r rule) bool {
	rest := slices.DeleteFunc(slices.Clone(r.expressions), func(e expression) bool { return e.name == "counter" })
	return slices.EqualFunc(w, rest, func(want step, got expression) bool {
		wanted, err := parse(want.data)
		return err == nil && want.name == got.name && essence(expression{want.name, wanted}) == essence(got)
	})
}

// essence is what an expression of our forms says. The zeros behind a link's name are as iptables likes.
func essence(e expression) string {
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
