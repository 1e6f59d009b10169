package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// rule is a policy routing rule, as far as this package reads it.
type rule struct {
	src   netip.Prefix // zero: any
	table int
}

// isOf reports whether a rule is the one of a source.
func (r rule) isOf(s Source) bool {
	return r.table == s.Table && r.src == netip.PrefixFrom(s.Address.Addr(), s.Address.Addr().BitLen())
}

// families returns the address families that have rules and routes of their own.
func families() []int { return []int{unix.AF_INET, unix.AF_INET6} }

// rules returns the policy rules of both families.
func (s *Sandbox) rules() (all []rule, err error) {
	for _, family := range families() {
		of, err := dump(s.conn, unix.RTM_GETRULE, family, parseRule)
		if err != nil {
			return nil, fmt.Errorf("list policy rules: %w", err)
		}
		all = append(all, of...)
	}
	return all, nil
}

// dump lists the objects of a family. A dump that was interrupted is repeated, up to maxDumps times.
//
// EOPNOTSUPP is the answer for the rules of a family that the kernel does not have
// (ipv6.disable=1), and for both where it was built without policy routing.
func dump[T any](c *conn, proto, family int, parse func(body []byte) (T, bool)) (found []T, err error) {
	for range maxDumps {
		found = nil
		req := nl.NewNetlinkRequest(proto, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family)}})
		err = c.socket.execute(req, func(body []byte) {
			if one, ok := parse(body); ok {
				found = append(found, one)
			}
		})
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil
	}
	return found, err
}

// Attributes of a rule, linux/fib_rules.h.
const (
	fraSrc   = 2
	fraTable = 15
)

const ruleToTable = 1 // FR_ACT_TO_TBL, linux/fib_rules.h

// parseRule reads an RTM_NEWRULE, whose header has the layout of struct rtmsg (struct fib_rule_hdr). The
// table of the header has eight bits only.
func parseRule(body []byte) (r rule, ok bool) {
	if len(body) < unix.SizeofRtMsg {
		return r, false
	}
	head := nl.DeserializeRtMsg(body)
	r.table = int(head.Table)
	for kind, value := range nlsock.Attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case fraSrc:
			if addr, ok := netip.AddrFromSlice(value); ok {
				r.src = netip.PrefixFrom(addr, int(head.Src_len))
			}
		case fraTable:
			r.table = number(value)
		}
	}
	return r, true
}

// addRules adds the rules of sources. One that exists is no error: it is that of an earlier call, or one
// that the container made for the same purpose.
func (s *Sandbox) addRules(sources []Source) error {
	for _, source := range sources {
		err := s.changeRule(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, source)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add rule %s: %w", source, err)
		}
	}
	return nil
}

// changeRule adds or deletes the rule of a source. The kernel chooses the priority: before the rule of
// the main table and those that were added so earlier (fib_default_rule_pref).
func (s *Sandbox) changeRule(proto, flags int, source Source) error {
	addr := source.Address.Addr()
	req := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	head := unix.RtMsg{Family: uint8(familyOf(addr)), Src_len: uint8(addr.BitLen()), Type: ruleToTable}
	req.AddData(&nl.RtMsg{RtMsg: head})
	req.AddData(nl.NewRtAttr(fraSrc, addr.AsSlice()))
	req.AddData(nl.NewRtAttr(fraTable, nl.Uint32Attr(uint32(source.Table))))
	return s.socket.execute(req, nil)
}
