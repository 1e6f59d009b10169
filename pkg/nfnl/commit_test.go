package nfnl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// replaced is a script of nft that replaces table p, with one rule, and a table whose base chains the
// kernel unlinks before it unlinks the old table p: the commit takes long between the moment at which
// the new objects are visible and its end.
func replaced() string {
	var script strings.Builder
	script.WriteString("table inet slow\ndelete table inet slow\ntable inet p\ndelete table inet p\n")
	script.WriteString("table inet p {\nchain c {\naccept\n}\n}\ntable inet slow {\n")
	for i := range 400 {
		fmt.Fprintf(&script, "chain c%d { type filter hook input priority %d; }\n", i, i)
	}
	script.WriteString("}\n")
	return script.String()
}

// ReadConsistently reads the rule of a chain while other programs replace its table.
//
// Claim: A ruleset that another program is committing is never read in part
func TestReadConsistentlyDuringCommit(t *testing.T) {
	h := nettest.Host(t)
	h.Allow("nft ")
	file := filepath.Join(t.TempDir(), "replaced.nft")
	if err := os.WriteFile(file, []byte(replaced()), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Run(t, "nft", "-f", file)
	var c *nfnl.Conn
	h.Do(func() {
		var err error
		if c, err = nfnl.Open(); err != nil {
			t.Error(err)
		}
	})
	defer c.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			h.Run(t, "nft", "-f", file)
		}
	}()
	reads := 0
	for ended := false; !ended; reads++ {
		select {
		case <-done:
			ended = true
		default:
			oneRule(t, c)
		}
	}
	t.Logf("%d reads while the table was replaced 20 times", reads)
}

// oneRule reports an error unless chain c of table p has one rule. A read that never succeeded between
// two commits proves nothing.
func oneRule(t *testing.T, c *nfnl.Conn) {
	t.Helper()
	found := 0
	consistent, err := c.ReadConsistently(func() (bool, error) {
		rules, err := c.Ask(nfnl.NftablesRequest(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, unix.NFPROTO_INET, ofChain()))
		found = len(rules)
		return false, err
	})
	if err != nil || consistent && found != 1 {
		t.Errorf("%d rules, %v", found, err)
	}
}

// ofChain returns the attributes of a request for the rules of chain c of table p.
func ofChain() []byte {
	attributes, _ := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte("p\x00")}, {Type: unix.NFTA_RULE_CHAIN, Data: []byte("c\x00")},
	})
	return attributes
}
