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

// listRuleset states every object of the nft ruleset. Nothing where the nft
// program is not installed: without it no test can make rules either but
// through netlink, and none of ours does yet. Nothing, and no program run,
// where the ruleset was never changed: its generation is the first.
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

// rulesetFacts reads what nft -j prints, without handles and counters. Equal
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

// part is what is stated of an object by itself.
type part struct {
	of    string // "nft " or "nft element <family> <table> <set> "
	value any
}

// parts are an object without its elements, and each of the elements: an attachment leaves the one
// and takes the others away.
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

// stable drops what changes without anyone changing a rule.
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
