package nettest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listRuleset adds every object of the nft ruleset. It adds nothing if the nft program
// is not installed, and does not run it if the ruleset was never changed, which its
// generation shows.
func (h *Node) listRuleset() (map[string]fact, error) {
	path, err := exec.LookPath("nft")
	if err != nil {
		return nil, nil
	}
	var generation uint32
	h.Do(func() { generation, err = rulesetGeneration() })
	if err != nil || generation <= 1 {
		return nil, nil // a kernel that cannot answer has no rules
	}
	out, err := h.Command(path, "-j", "list", "ruleset").Output()
	if err != nil {
		return nil, fmt.Errorf("list ruleset: %w", err)
	}
	return rulesetFacts(out)
}

// rulesetFacts decodes the output of nft -j, without handles and counters. Equal
// rules are counted.
func rulesetFacts(out []byte) (map[string]fact, error) {
	var list struct {
		Objects []map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read ruleset: %w", err)
	}
	times := make(map[string]int)
	for _, object := range list.Objects {
		if _, ok := object["metainfo"]; ok {
			continue
		}
		for _, part := range parts(object) {
			text, err := json.Marshal(stable(part.value))
			if err != nil {
				return nil, fmt.Errorf("read ruleset: %w", err)
			}
			times[part.of+string(text)]++
		}
	}
	facts := make(map[string]fact, len(times))
	for text, n := range times {
		facts[text] = fact{value: strconv.Itoa(n)}
	}
	return facts, nil
}

// part is an object, or an element of one.
type part struct {
	of    string // "nft " or "nft element <family> <table> <set> "
	value any
}

// parts returns an object without its elements, and each of its elements: DEL of an attachment keeps
// the object and deletes elements.
func parts(object map[string]any) []part {
	all := []part{{"nft ", object}}
	for _, kind := range []string{"set", "map"} {
		set, ok := object[kind].(map[string]any)
		if !ok {
			continue
		}
		elements, _ := set["elem"].([]any)
		delete(set, "elem")
		for _, e := range elements {
			all = append(all, part{fmt.Sprintf("nft element %v %v %v ", set["family"], set["table"], set["name"]), e})
		}
	}
	return all
}

// stable removes what changes although no rule changes.
func stable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"handle", "packets", "bytes", "expires"} {
			delete(v, key)
		}
		for key := range v {
			v[key] = stable(v[key])
		}
	case []any:
		for i := range v {
			v[i] = stable(v[i])
		}
	}
	return v
}

// rulesetGeneration returns the number of the ruleset of the calling thread's
// namespace: 1 when it is new, more with every change.
func rulesetGeneration() (uint32, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for the ruleset's generation: %w", err)
	}
	for _, answer := range answers {
		attrs, err := nl.ParseRouteAttr(answer[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("read the ruleset's generation: %w", err)
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.NFTA_GEN_ID && len(a.Value) == 4 {
				return binary.BigEndian.Uint32(a.Value), nil
			}
		}
	}
	return 0, errors.New("ask for the ruleset's generation: no answer")
}

// RulesetGeneration returns the number of the nft ruleset: each transaction makes it one higher.
func (n *Netns) RulesetGeneration(t testing.TB) uint32 {
	t.Helper()
	var generation uint32
	var err error
	n.Do(func() { generation, err = rulesetGeneration() })
	if err != nil {
		t.Fatal(err)
	}
	return generation
}
