package uplink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Attributes of linux/fib_rules.h.
const (
	fraIIFName  = 3
	fraPriority = 6
	fraOIFName  = 17
	ruleInvert  = 2 // FIB_RULE_INVERT; the other flags are the kernel's
)

// rule is the body of an RTM_NEWRULE message.
type rule []byte

// place is what the kernel orders rules by.
type place struct {
	family   byte
	priority uint32
}

func (r rule) place() place { return place{r[0], number32(attribute(r, ruleHeader, fraPriority))} }

// names reports whether the rule names an interface.
func (r rule) names(name string) bool {
	return textOf(attribute(r, ruleHeader, fraIIFName)) == name || textOf(attribute(r, ruleHeader, fraOIFName)) == name
}

// on returns the rule with another interface in place of one.
func (r rule) on(from, to string) rule {
	return rewrite(r, ruleHeader, func(kind int, value []byte) []byte {
		if (kind == fraIIFName || kind == fraOIFName) && textOf(value) == from {
			return text(to)
		}
		return value
	})
}

// rules returns the policy rules of both families, in the order of the kernel.
func (k *Kernel) rules() (all []rule, err error) {
	for _, family := range families() {
		bodies, err := k.dump(unix.RTM_GETRULE, query(unix.RTM_NEWRULE, family))
		if err != nil {
			return nil, fmt.Errorf("list policy rules: %w", err)
		}
		for _, body := range bodies {
			if len(body) < ruleHeader || body[0] != family {
				continue
			}
			flags := binary.NativeEndian.Uint32(body[8:]) & ruleInvert
			binary.NativeEndian.PutUint32(body[8:], flags)
			all = append(all, body)
		}
	}
	return all, nil
}

// group returns the rules of one family and priority.
func group(all []rule, at place) []rule {
	return slices.DeleteFunc(slices.Clone(all), func(r rule) bool { return r.place() != at })
}

// setRules makes the rules of each priority that names one of two interfaces those of want, in its order, and keeps
// others of that priority behind them. The kernel has no request that replaces a rule or inserts one
// before another: new rules are added behind the old ones, and these are removed then, so that no rule
// is missing at any moment.
func (k *Kernel) setRules(want []rule, uplink, bridge string) error {
	now, err := k.rules()
	if err != nil {
		return err
	}
	done := map[place]bool{}
	for _, r := range slices.Concat(now, want) {
		if !r.names(uplink) && !r.names(bridge) || done[r.place()] {
			continue
		}
		done[r.place()] = true
		if err := k.setGroup(group(now, r.place()), group(want, r.place()), uplink, bridge); err != nil {
			return err
		}
	}
	return nil
}

func (k *Kernel) setGroup(now, want []rule, uplink, bridge string) error {
	same := func(a rule) func(rule) bool { return func(b rule) bool { return bytes.Equal(a, b) } }
	for _, r := range now {
		if !r.names(uplink) && !r.names(bridge) && !slices.ContainsFunc(want, same(r)) {
			want = append(want, r) // of another program, added meanwhile
		}
	}
	if slices.EqualFunc(now, want, func(a, b rule) bool { return bytes.Equal(a, b) }) {
		return nil
	}
	for _, r := range want {
		if err := k.send(unix.RTM_NEWRULE, unix.NLM_F_CREATE, r); err != nil {
			return fmt.Errorf("add policy rule of priority %d: %w", r.place().priority, err)
		}
	}
	for _, r := range now {
		if err := k.send(unix.RTM_DELRULE, 0, r); err != nil {
			return fmt.Errorf("remove policy rule of priority %d: %w", r.place().priority, err)
		}
	}
	return nil
}
